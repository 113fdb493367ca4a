"""What the cards do while the clock runs: NVML, samples, and what is said of them."""
