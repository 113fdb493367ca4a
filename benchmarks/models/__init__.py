"""Models with random weights in the published layouts: at full size, to time them, and tiny ones, for tests too."""
