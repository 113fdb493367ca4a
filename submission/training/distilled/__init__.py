"""Learning the prototypes of `distilled`: experts, what they see of real images, and the steps."""
