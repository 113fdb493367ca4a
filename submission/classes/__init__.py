"""Class names: ImageNet's labels, prompts, and names as people write them."""
