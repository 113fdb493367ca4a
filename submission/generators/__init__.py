"""One file per generator; `submission.contract.generator` holds the registry."""
