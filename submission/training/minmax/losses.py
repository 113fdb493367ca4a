"""The losses of min-max training (Fan et al., "Generative Dataset Distillation using Min-Max Diffusion Model", 2024),
and the memories of features that they compare with.

All similarities are cosines between flattened latents; features (B, D) are compared with memories (B, M, D) of which
`filled_BM` says what has been written yet.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

MemoryOf = Literal["class", "batches"]


def diffusion_loss(noise_BCHW: Tensor, predicted_BCHW: Tensor) -> Tensor:
    """Equation 1, the squared error of the predicted noise, as a mean over images and values."""
    return F.mse_loss(predicted_BCHW, noise_BCHW)


def predicted_features(z_BCHW: Tensor, predicted_BCHW: Tensor) -> Tensor:
    """z_t - eps(z_t, c) flattened, (B, D): the feature representation of section 2.2."""
    return (z_BCHW - predicted_BCHW).flatten(1)


def least_similarity(features_BD: Tensor, real_BMD: Tensor, filled_BM: Tensor) -> Tensor:
    """min over m of equation 2: mean similarity of each feature with the least similar real one, in [-1, 1]."""
    return _mean(_similarities(features_BD, real_BMD).masked_fill(~filled_BM, torch.inf).amin(1), filled_BM)


def greatest_similarity(features_BD: Tensor, generated_BMD: Tensor, filled_BM: Tensor) -> Tensor:
    """max over d of equation 3: mean similarity of each feature with the most similar generated one, in [-1, 1]."""
    return _mean(_similarities(features_BD, generated_BMD).masked_fill(~filled_BM, -torch.inf).amax(1), filled_BM)


def representativeness_loss(least: Tensor) -> Tensor:
    """Equation 2 as something to minimise: it is least where the least similar pairs are alike (0)."""
    return 1 - least


def diversity_loss(greatest: Tensor) -> Tensor:
    """Equation 3, which is minimised as it is: the most similar pairs are pushed apart."""
    return greatest


def training_loss(diffusion: Tensor, least: Tensor, greatest: Tensor, lambda_r: float, lambda_d: float) -> Tensor:
    """Equation 4."""
    return diffusion + lambda_r * representativeness_loss(least) + lambda_d * diversity_loss(greatest)


def _similarities(features_BD: Tensor, memory_BMD: Tensor) -> Tensor:
    return F.cosine_similarity(features_BD[:, None], memory_BMD, dim=2)


def _mean(values_B: Tensor, filled_BM: Tensor) -> Tensor:
    """Over the images that have a memory; 0 where none has, as at the beginning."""
    known_B = filled_BM.any(1)
    return torch.where(known_B, values_B, 0.0).sum() / known_B.sum().clamp_min(1)


class Memory:
    """The last M features of each class, or of all images, as unit vectors in fp16: only cosines are asked of them."""

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
