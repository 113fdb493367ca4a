"""Do the labels say what the images show?"""
