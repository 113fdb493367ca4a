"""Accuracy by images per class: measured curves, and what an accuracy is worth in real images."""
