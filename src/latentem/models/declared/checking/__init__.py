"""What is wrong with a declaration, before it is fitted, in the user's terms."""
