"""What is wrong with where a fit has ended."""
