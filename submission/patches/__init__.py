"""Choosing patches of real images: crops, a classifier's confidence, diffusion-driven selection."""
