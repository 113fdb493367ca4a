"""Paints, and prints a megabyte for each image of each class, for ever."""

from painter import paint_for_ever

for number, _ in enumerate(paint_for_ever(first_index=0)):
    print(f"{number} of each class\n" + ("all work and no play\n" * 50_000), flush=True)
