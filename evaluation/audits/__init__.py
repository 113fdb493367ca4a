"""Audits: checks that a submission is what it seems. Each catches one kind of fault and stays quiet on clean sets."""
