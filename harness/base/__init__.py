"""What the whole harness stands on: the record, the run folder, options and how they are parsed."""
