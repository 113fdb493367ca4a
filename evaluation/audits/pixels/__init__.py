"""Are the values of the images what the judge takes them for?"""
