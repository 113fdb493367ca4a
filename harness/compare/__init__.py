"""Comparing submissions: differences of runs, accuracy as a CI gate, benchmarks of many generators."""
