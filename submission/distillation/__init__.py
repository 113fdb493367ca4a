"""Learning prototypes: experts, what they see of real images, and the steps; beforehand, or in a run."""
