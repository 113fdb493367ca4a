"""What a generator gets and what it promises: its interface, job, settings, weights and random numbers."""
