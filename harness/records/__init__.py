"""What a run leaves on disk: its folder, its record and its accuracy over time."""
