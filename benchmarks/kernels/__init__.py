"""The judge's kernels on a processor, by themselves."""
