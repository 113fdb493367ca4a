"""Finding the picture that another was made of: shifted, turned, cropped, mirrored or recoloured."""
