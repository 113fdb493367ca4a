"""Audits: checks that a submission is what it claims to be, listed in `run.py`."""
