"""Models and where their fits start."""
