"""Were files left out when the submission was read?"""

from __future__ import annotations

from evaluation.audits.base.audit import Audit, Number, Status
from evaluation.submitted.contents import FolderContents

_FAILED_SHARE = 0.1  # of all files that should have been images


def audit_files(contents: FolderContents) -> Audit:
    """Warn where files were left out, fail where more than a tenth of them was.

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
        return Audit("files", "pass", f"all {len(contents.images):,} files were whole and readable", numbers)
    told = ", ".join(f"{count:,} {reason}" for reason, count in list(contents.dropped_reasons.items())[:3])
    half = f", {contents.half_written:,} of them half-written" if contents.half_written else ""
    status: Status = "fail" if dropped > _FAILED_SHARE * (dropped + len(contents.images)) else "warn"
    return Audit("files", status, f"{dropped:,} files were left out ({told}){half}", numbers)
