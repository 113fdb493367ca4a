"""What an audit reports."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

Status = Literal["pass", "warn", "fail"]
Number = float | int | str | bool | None | list[int] | list[str]

CANNOT_TELL = "cannot tell"
_BY_SEVERITY: tuple[Status, ...] = ("pass", "warn", "fail")


class Finding(NamedTuple):
    """What one check found; the fields are those of `Audit`."""

    status: Status
    evidence: str
    numbers: dict[str, Number]
    conclusive: bool = True


@dataclass(frozen=True)
class Audit:
    """The result of one audit.

    Attributes:
        name: in `evaluation.audits.run.AUDITS`.
        status: `fail` for what makes a score meaningless or unfair, `warn` for what its reader must know.
        evidence: one sentence with the numbers that matter.
        numbers: the same for programs; JSON values.
        conclusive: whether the images could tell; if not, a `pass` only means that no fault was found.
    """

    name: str
    status: Status
    evidence: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    conclusive: bool = True

    @property
    def verdict(self) -> str:
        """What people read: the status, or `cannot tell` where nothing was found that the images could not tell."""
        return self.status if self.conclusive or self.status == "fail" else CANNOT_TELL


def worst(statuses: Iterable[Status]) -> Status:
    """The most severe of the statuses."""
    return max(statuses, key=_BY_SEVERITY.index)


def distinct_ipc(audits: Sequence[Audit]) -> float | None:
    """Distinct images per class as the duplicates audit counted them; None where it did not run."""
    found = (audit.numbers.get("distinct_ipc") for audit in audits)
    return next((ipc for ipc in found if isinstance(ipc, float)), None)


def mark_declared_copies(audits: Sequence[Audit], copies: bool) -> list[Audit]:
    """`audits` with what the generator declares: one that copies is marked as such whatever the audit finds.

    The leakage audit finds whole images and wide crops; a narrow crop, enlarged, is too far from its image for it.
    """

    def marked(audit: Audit) -> Audit:
        evidence = f"the generator declares that it writes training images or parts of them; {audit.evidence}"
        status = "warn" if audit.status == "pass" else audit.status
        return replace(audit, status=status, evidence=evidence, numbers={**audit.numbers, "league": "copying"})

    return [marked(audit) if copies and audit.name == "leakage" else audit for audit in audits]
