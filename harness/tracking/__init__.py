"""A run's record for the experiment trackers that laboratories use."""
