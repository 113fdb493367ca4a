"""Audit: what one check of a submission found."""

from __future__ import annotations

from collections.abc import Mapping
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
