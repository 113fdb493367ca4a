"""Fitting the mixtures of Gaussians."""
