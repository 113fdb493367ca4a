"""Models with random weights in the published layouts: at full size, to time them, and tiny ones; and the papers' pipelines."""
