"""The league of a run: `generating`, or `copying` for what is cut from stored training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evaluation.audits.base.audit import Audit


def with_declared_league(audits: Sequence[Audit], copies: bool) -> list[Audit]:
    """`audits` with the generator's own word: one that copies is in the `copying` league whatever can be found.

    The leakage audit finds whole images and wide crops; a narrow crop, enlarged, is too far from its image for it.
    """
    return [_copying(audit) if copies and audit.name == "leakage" else audit for audit in audits]


def _copying(audit: Audit) -> Audit:
    return replace(
        audit,
        status="warn" if audit.status == "pass" else audit.status,
        evidence=f"the generator declares that it writes training images or parts of them; {audit.evidence}",
        numbers={**audit.numbers, "league": "copying"},
    )
