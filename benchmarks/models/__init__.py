"""Models with random weights in the published layouts, at full size and tiny, and the pipelines of the papers."""
