"""What the papers report, for comparison: accuracy on the real test set after 1,000 epochs (`docs/protocol.md`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One published result; `accuracy` and `spread` are fractions, `spread` None where none is given."""

    method: str
    place: str
    ipc: float
    accuracy: float
    spread: float | None = None
    approximate: bool = False


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "cifar100": (
        Published("SDXL-Turbo", "", 20, 0.0097, 0.0010),
        Published("SDXL-Turbo + PDA", "3rd", 100, 0.0137, 0.0005),
        Published("DiT", "", 6, 0.0563, 0.0047),
        Published("DiT + min-max", "", 6, 0.0959, 0.0067),
        Published("DiT + min-max + DSR", "2nd", 45, 0.1444, 0.0040),
        Published("M-DATM (fixed IPC, no time limit)", "1st, track 1", 10, 0.4061),
        Published("all real training images", "ceiling", 500, 0.56, approximate=True),
    ),
    "tiny-imagenet": (
        Published("DiT", "", 3, 0.0350, 0.0016),
        Published("DiT + min-max", "", 3, 0.0353, 0.0010),
        Published("SDXL-Turbo", "", 10, 0.0437, 0.0012),
        Published("SDXL-Turbo + PDA", "3rd", 50, 0.0478, 0.0018),
        Published("DiT + min-max + DSR", "2nd", 23, 0.0662, 0.0020),
        Published("M-DATM (fixed IPC, no time limit)", "1st, track 1", 10, 0.1831),
        Published("all real training images", "ceiling", 500, 0.37, approximate=True),
    ),
    "digits": (),
}
