"""Were files left out when the submission was read?"""

from __future__ import annotations

from evaluation.audits.audit import Finding, Number
from evaluation.submitted.folder import FolderContents

_FAILED_FRACTION = 0.1  # of all files that should have been images


def audit_files(contents: FolderContents) -> Finding:
    """Warn if files were left out, fail if more than a tenth was.

    Numbers: `dropped`, `half_written` of these, `reasons` (each with its count), `first` (ten paths with reasons).
    """
    dropped = sum(contents.dropped_reasons.values())
    numbers: dict[str, Number] = {
        "dropped": dropped,
        "half_written": contents.half_written,
        "reasons": [f"{reason}: {count}" for reason, count in contents.dropped_reasons.items()],
        "first": [f"{entry.path}: {entry.reason}" for entry in contents.dropped[:10]],
    }
    if not dropped:
        return Finding("pass", f"all {len(contents.images):,} files were complete and readable", numbers)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in list(contents.dropped_reasons.items())[:3])
    half = f", {contents.half_written:,} of them half-written" if contents.half_written else ""
    many = dropped > _FAILED_FRACTION * (dropped + len(contents.images))
    evidence = f"{dropped:,} file{'s were' if dropped > 1 else ' was'} left out ({reasons}){half}"
    return Finding("fail" if many else "warn", evidence, numbers)
