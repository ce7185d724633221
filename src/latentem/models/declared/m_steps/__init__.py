"""How the parameters are found from the posterior: automatic sufficient statistics, and Newton ascent on Q."""
