"""The networks: of the project's own generator, and those of published models."""
