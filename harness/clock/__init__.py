"""The clock: start a generator, enforce the deadline, leave nothing of it alive, account for every second."""
