"""What an audit reports."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Status = Literal["pass", "warn", "fail"]
Number = float | int | str | bool | None | list[int] | list[str]

_BY_SEVERITY: tuple[Status, ...] = ("pass", "warn", "fail")


class Finding(NamedTuple):
    """What one check found; the fields are those of `Audit`."""

    status: Status
    evidence: str
    numbers: dict[str, Number]


@dataclass(frozen=True)
class Audit:
    """The result of one audit.

    Attributes:
        name: in `evaluation.audits.run.AUDITS`.
        status: `fail` for what makes a score meaningless or unfair, `warn` for what its reader must know.
        evidence: one sentence with the numbers that matter.
        numbers: the same for programs; JSON values.
    """

    name: str
    status: Status
    evidence: str
    numbers: Mapping[str, Number] = field(default_factory=dict)


def worst(statuses: Iterable[Status]) -> Status:
    """The most severe of the statuses."""
    return max(statuses, key=_BY_SEVERITY.index)


def distinct_ipc(audits: Sequence[Audit]) -> float | None:
    """Distinct images per class as the duplicates audit counted them; None where it did not run."""
    found = (audit.numbers.get("distinct_ipc") for audit in audits)
    return next((ipc for ipc in found if isinstance(ipc, float)), None)
