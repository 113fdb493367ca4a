"""Training the project's own diffusion model, and distilling it to one or two steps."""
