"""The makers: generators, their weights and training, the worker that runs one. Knows no test split."""
