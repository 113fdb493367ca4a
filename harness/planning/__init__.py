"""From a measured profile to a plan for the budget."""
