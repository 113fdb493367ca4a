"""The real data sets, one file each: where their files lie, what must hold of them, how they become images."""
