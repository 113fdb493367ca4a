"""Choosing the step count that buys the most accuracy with the budget."""
