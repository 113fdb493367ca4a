"""Copies: of test images, of training images, of each other."""
