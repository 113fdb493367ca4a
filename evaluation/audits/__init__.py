"""Audits: checks that a submission is what it claims to be, one file each, listed in `run.py`."""
