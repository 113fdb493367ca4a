"""Audits: checks that a submission is what it seems. Each catches one kind of fault and stays quiet on clean sets."""

from evaluation.audits.audit import Audit as Audit
from evaluation.audits.run import run_audits as run_audits
