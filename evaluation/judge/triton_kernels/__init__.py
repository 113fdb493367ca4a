"""The judge's kernels in Triton, for cards; on a CPU Triton's interpreter runs them (`TRITON_INTERPRET=1`)."""
