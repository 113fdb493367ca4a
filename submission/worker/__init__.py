"""The process that runs one generator: batches, pacing, PDA and writing."""
