"""Fitting the mixtures of Gaussians, and training their clusters against experts."""
