"""One file per generator; `submission.generator` holds the registry."""
