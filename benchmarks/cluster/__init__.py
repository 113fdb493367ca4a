"""What a benchmark on many machines costs: bytes between them, and where its time goes."""
