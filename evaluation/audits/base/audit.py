"""Audit: what one check of a submission found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

AuditName = Literal["class_order", "leakage", "duplicates", "diversity", "balance", "pixels", "files"]
Status = Literal["pass", "warn", "fail"]
Number = float | int | str | bool | None | list[int] | list[str]


@dataclass(frozen=True)
class Audit:
    """The finding of one audit.

    Attributes:
        name: which audit.
        status: `fail` for what makes a score meaningless or unfair, `warn` for what its reader must know.
        evidence: one sentence with the numbers that matter.
        numbers: the same for programs; JSON values.
    """

    name: AuditName
    status: Status
    evidence: str
    numbers: Mapping[str, Number] = field(default_factory=dict)


def distinct_ipc(audits: Sequence[Audit]) -> float | None:
    """Distinct images per class as the duplicates audit counted them; None where it did not run."""
    for audit in audits:
        if audit.name == "duplicates":
            found = audit.numbers["distinct_ipc"]
            assert isinstance(found, float)
            return found
    return None
