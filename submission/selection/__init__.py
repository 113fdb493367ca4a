"""Diffusion-driven selection (Zhong et al.): real patches chosen by what a diffusion model knows of their class."""
