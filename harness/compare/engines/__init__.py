"""Where the runs of a benchmark are made: this machine, or a Ray cluster."""
