"""What a generator is told and what it promises: its interface, job, settings, weights and random numbers."""
