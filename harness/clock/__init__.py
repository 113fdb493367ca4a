"""The clock: start a generator, hold the deadline, leave nothing of it alive, account for every second."""
