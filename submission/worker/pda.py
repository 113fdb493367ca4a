"""Post data augmentation (PDA): each generated image, then changed copies of it.

After "Generative Dataset Distillation Based on Diffusion Model" (ECCV 2024 workshops), section 4.1, which has 5 images
in all for each generated one. It is applied after resizing, in the threads that write, while the generator goes on.
"""

import os
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path, PurePath
from threading import local
from typing import Any

import numpy as np

from evaluation.base.challenge import Challenge
from submission.contract.job import Job
from submission.worker.writer import QUEUE, Change, ImageWriter, Pixels


def check_pda(pda: int) -> None:
    """Raises ValueError where `pda` images for each generated one cannot be had."""
    if pda < 1:
        raise ValueError(f"--pda must be at least 1 (no copies), not {pda}")
    if pda > 1 and find_spec("albumentations") is None:
        raise ValueError("--pda needs albumentations, which is not installed: pip install albumentations==2.0.8")


def images_to_generate(ipc: int | None, pda: int) -> int | None:
    """Images per class that have to be generated for `ipc` in all, the last with fewer copies; None for no end."""
    return None if ipc is None else -(-ipc // pda)


def file_index(index: int, copy: int, pda: int) -> int:
    """Where a copy stands in its class, copy 0 being the image itself: a longer run begins with a shorter one."""
    return index * pda + copy


def generated_images(paths: Iterable[str], pda: int) -> int:
    """How many generated images the files `<class folder>/<index>.png` come from."""
    return len({(PurePath(path).parent, int(PurePath(path).stem) // pda) for path in paths})


def copy_seed(seed: int, label: int, index: int, copy: int) -> int:
    """What makes a copy, beside the image: in [0, 2**64), the same on every machine and in every run."""
    return int.from_bytes(blake2b(f"pda/{seed}/{label}/{index}/{copy}".encode(), digest_size=8).digest(), "big")


class Augmenter:
    """The paper's augmentation. Threads can use one at once."""

    def __init__(self, size: int) -> None:
        """`size` is the height and width of the images. Takes a second or two, to import the library."""
        self._size = size
        self._of_thread = local()
        self._library()

    def __call__(self, image_HWC: Pixels, seed: int) -> Pixels:
        """A changed copy, uint8 (H, W, 3), that depends on the image and `seed` alone."""
        if not hasattr(self._of_thread, "pipeline"):
            self._of_thread.pipeline = self._pipeline()
        pipeline = self._of_thread.pipeline
        # Shared by the transforms: with `set_random_seed` each would draw the same numbers, and flip as the others do.
        pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))
        changed: Pixels = pipeline(image=image_HWC)["image"]
        return changed

    def _pipeline(self) -> Any:
        library, border = self._library()
        return library.Compose(
            [
                library.RandomCrop(height=self._size, width=self._size),
                library.HorizontalFlip(p=0.8),
                library.VerticalFlip(p=0.8),
                library.RandomBrightnessContrast(p=0.5),
                library.Rotate(limit=60, border_mode=border, p=0.8),
                library.RandomGamma(p=0.5),
            ]
        )

    @staticmethod
    def _library() -> tuple[Any, int]:
        os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else it asks the network for its latest version
        import albumentations
        import cv2

        cv2.setNumThreads(1)  # the threads that write are enough
        # what `Rotate` filled corners with when the paper was written; since 2.0 they are black by default
        return albumentations, cv2.BORDER_REFLECT_101


class PdaWriter(ImageWriter):
    """Writes each generated image and its copies. What it is asked and says is counted in generated images."""

    def __init__(
        self,
        output: Path,
        challenge: Challenge,
        augment: Callable[..., Pixels],
        pda: int,
        seed: int,
        ipc: int | None,
        queue: int = QUEUE,
    ) -> None:
        """`augment` makes a copy from an image and a seed, in any thread; `ipc` counts copies; `queue` is in files."""
        super().__init__(output, challenge, queue=queue)
        self._augment, self._pda, self._seed, self._ipc = augment, pda, seed, ipc

    @property
    def pending(self) -> int:
        return -(-super().pending // self._pda)

    def write(self, images_BHWC: Sequence[Pixels] | Pixels, labels: Sequence[int], indices: Sequence[int]) -> int:
        """See `ImageWriter.write`; copies are counted in what it returns."""
        orders = [
            (image_HWC, label, file_index(index, copy, self._pda), self._change(label, index, copy))
            for image_HWC, label, index in zip(images_BHWC, labels, indices, strict=True)
            for copy in range(self._pda)
            if self._ipc is None or file_index(index, copy, self._pda) < self._ipc
        ]
        return self._queue_files(*zip(*orders, strict=True)) if orders else 0

    def trusted(self, images: int) -> int:
        """See `ImageWriter.trusted`; and no more than fit in the queue, so that little is left to write at the end."""
        return max(1, super().trusted(min(images * self._pda, self.queue)) // self._pda)

    def full(self, images: int) -> bool:
        return super().full(images * self._pda)

    def seconds_to_write(self, images: int) -> float:
        return super().seconds_to_write(images * self._pda)

    def _change(self, label: int, index: int, copy: int) -> Change | None:
        return partial(self._augment, seed=copy_seed(self._seed, label, index, copy)) if copy else None


def writers(job: Job, challenge: Challenge) -> Callable[[Path], ImageWriter]:
    """What opens a writer for the job's images into a folder. What it needs is imported now."""
    if job.pda == 1:
        return lambda output: ImageWriter(output, challenge)
    augment = Augmenter(challenge.size)
    return lambda output: PdaWriter(output, challenge, augment, job.pda, job.seed, job.ipc)
