"""What min-max training compares with: the last features of each class, or of the mini-batches just before."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

MemoryOf = Literal["class", "batches"]


class Memory:
    """The last M features of each class, or of all images whatever their class.

    Only directions are kept, as unit vectors in fp16: cosines are all that is asked of them.
    """

    def __init__(self, of: MemoryOf, classes: int, slots: int, features: int, device: str) -> None:
        """`of`: "class" as in Gu et al., CVPR 2024; "batches" as in the min-max paper, which keeps adjacent ones."""
        rows = classes if of == "class" else 1
        self._of = of
        self._kept_RMD = torch.zeros(rows, slots, features, dtype=torch.float16, device=device)
        self._pushed = [0] * rows

    def of(self, labels: list[int]) -> tuple[Tensor, Tensor]:
        """What images of `labels` are compared with: fp32 (B, M, D), and which of it has been written, bool (B, M)."""
        rows = self._rows(labels)
        device, slots = self._kept_RMD.device, self._kept_RMD.shape[1]
        written_B = torch.tensor([self._pushed[row] for row in rows], device=device)
        return self._kept_RMD[rows].float(), torch.arange(slots, device=device) < written_B[:, None]

    def push(self, labels: list[int], features_BD: Tensor) -> None:
        """Keep `features_BD`, each in the place of the oldest; of more than fit into a row the last ones."""
        rows, slots = self._rows(labels), []
        for row in rows:
            slots.append(self._pushed[row] % self._kept_RMD.shape[1])
            self._pushed[row] += 1
        last = {(row, slot): i for i, (row, slot) in enumerate(zip(rows, slots, strict=True))}
        kept = list(last.values())
        directions_BD = F.normalize(features_BD.detach().float(), dim=1).half()
        self._kept_RMD[[rows[i] for i in kept], [slots[i] for i in kept]] = directions_BD[kept]

    def state(self) -> dict[str, Any]:
        """All that it holds."""
        return {"kept": self._kept_RMD, "pushed": list(self._pushed)}

    def restore(self, state: dict[str, Any]) -> None:
        """Hold what `state` says."""
        self._kept_RMD.copy_(state["kept"])
        self._pushed = list(state["pushed"])

    def _rows(self, labels: list[int]) -> list[int]:
        return labels if self._of == "class" else [0] * len(labels)
