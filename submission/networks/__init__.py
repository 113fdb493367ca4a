"""The networks of the project's own generator."""
