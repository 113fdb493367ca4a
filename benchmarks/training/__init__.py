"""How fast generators are trained."""
