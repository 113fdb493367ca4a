"""The latents of a training split: encoded once, kept in a file, read again by every later session."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from evaluation.base.files import written_whole
from evaluation.base.images import ImageSet, content_hash
from evaluation.base.progress_bar import progress_bar
from submission.diffusion.dit import DiT

_BATCH = 64


@dataclass(frozen=True)
class Latents:
    """A training split's latents, scaled, fp16, in the computer's own memory, and their labels."""

    latents_NCSS: Tensor
    labels: list[int]

    def __len__(self) -> int:
        return len(self.labels)


def encode_once(dit: DiT, images: ImageSet, autoencoder: Path, folder: Path) -> Latents:
    """The latents of `images`, kept in `folder` in a file marked by the images and the folder `autoencoder`.

    Raises ValueError if the autoencoder's values are not finite.
    """
    from safetensors.torch import load_file, save_file

    file = folder / f"latents-{_mark(images, autoencoder)}.safetensors"
    if not file.exists():
        latents_NCSS = _encode(dit, images)
        if not latents_NCSS.isfinite().all():
            raise ValueError(
                f"the autoencoder in {autoencoder} gives latents that do not fit in 16 bits; copy it again"
            )
        with written_whole(file) as part:
            save_file({"latents": latents_NCSS}, part)
    return Latents(load_file(file)["latents"], images.labels.tolist())


@torch.inference_mode()
def _encode(dit: DiT, images: ImageSet) -> Tensor:
    parts = []
    with progress_bar("Encoding") as update:
        for start in range(0, len(images), _BATCH):
            parts.append(dit.encode(torch.from_numpy(images.images[start : start + _BATCH])).half().cpu())
            update((start + len(parts[-1])) / len(images), f"{start + len(parts[-1]):,} images")
    return torch.cat(parts).contiguous()


def _mark(images: ImageSet, autoencoder: Path) -> str:
    import pooch

    digest = hashlib.sha256(content_hash(images).encode())
    for path in sorted(autoencoder.iterdir()):
        digest.update(pooch.file_hash(path).encode())
    return digest.hexdigest()[:16]
