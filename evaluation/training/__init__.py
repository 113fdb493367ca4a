"""Training of what the judge ships: the probe that reads classes off images."""
