"""The parts of `benchmarks.first_gpu`: what a card is, how it judges, how it generates."""
