"""Find the image that another was made from: shifted, rotated, cropped, mirrored or recoloured."""
