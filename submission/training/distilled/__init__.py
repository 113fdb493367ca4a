"""The command that trains `distilled`."""
