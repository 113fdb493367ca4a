"""What the papers of the challenge report: accuracy on the real test set after 1,000 epochs (`docs/protocol.md`)."""

from __future__ import annotations

from dataclasses import dataclass

_MIN_MAX = "https://arxiv.org/abs/2503.18626"
_SDXL_TURBO = "https://arxiv.org/abs/2408.08610"
_M_DATM = "https://arxiv.org/abs/2410.13311"


@dataclass(frozen=True)
class Published:
    """A published result.

    Attributes:
        accuracy, std: fractions; `std` None where the paper gives none.
        paper: its address, None for a figure of the literature at large.
        timed: made within the challenge's time limit, so that a run can be ranked with it.
    """

    method: str
    place: str
    ipc: float
    accuracy: float
    std: float | None = None
    approximate: bool = False
    paper: str | None = None
    timed: bool = True


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "cifar100": (
        Published("SDXL-Turbo", "", 20, 0.0097, 0.0010, paper=_SDXL_TURBO),
        Published("SDXL-Turbo + PDA", "3rd", 100, 0.0137, 0.0005, paper=_SDXL_TURBO),
        Published("DiT", "", 6, 0.0563, 0.0047, paper=_MIN_MAX),
        Published("DiT + min-max", "", 6, 0.0959, 0.0067, paper=_MIN_MAX),
        Published("DiT + min-max + DSR", "2nd", 45, 0.1444, 0.0040, paper=_MIN_MAX),
        Published("M-DATM (fixed IPC, no time limit)", "1st, track 1", 10, 0.4061, paper=_M_DATM, timed=False),
        Published("all real training images", "ceiling", 500, 0.56, approximate=True, timed=False),
    ),
    "tiny-imagenet": (
        Published("DiT", "", 3, 0.0350, 0.0016, paper=_MIN_MAX),
        Published("DiT + min-max", "", 3, 0.0353, 0.0010, paper=_MIN_MAX),
        Published("SDXL-Turbo", "", 10, 0.0437, 0.0012, paper=_SDXL_TURBO),
        Published("SDXL-Turbo + PDA", "3rd", 50, 0.0478, 0.0018, paper=_SDXL_TURBO),
        Published("DiT + min-max + DSR", "2nd", 23, 0.0662, 0.0020, paper=_MIN_MAX),
        Published("M-DATM (fixed IPC, no time limit)", "1st, track 1", 10, 0.1831, paper=_M_DATM, timed=False),
        Published("all real training images", "ceiling", 500, 0.37, approximate=True, timed=False),
    ),
    "digits": (),
}
