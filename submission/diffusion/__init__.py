"""Diffusion models behind one interface, and the samplers that draw images from them."""
