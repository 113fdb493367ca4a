"""The images of a job in order, and the pixels of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.base.challenge import Challenge
from submission.contract.generator import Generator, GeneratorBase, GeneratorInfo, LoadContext, Selector, get_generator
from submission.contract.job import Job, image_seed
from submission.contract.pixels import resize_uint8
from submission.contract.settings import compiles
from submission.worker.memory import free_memory, is_out_of_memory
from submission.worker.pda import images_to_generate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from evaluation.judge.parallel import Workers


def load_generator(job: Job, challenge: Challenge) -> GeneratorBase:
    """The job's generator, ready to make images. Raises ValueError for weights that do not fit."""
    context = LoadContext(
        challenge=challenge,
        device=job.device,
        weights=Path(job.weights) if job.weights else None,
        training_images=Path(job.training_images) if job.training_images else None,
        seed=job.seed,
        settings=job.settings,
        seconds_left=job.deadline - time.monotonic(),
    )
    generator = get_generator(job.generator).load(context)
    if compiles(job.settings):
        compile_networks(generator)
    return generator


def compile_networks(generator: GeneratorBase) -> None:
    """Compile each network when first called, for one batch size: smaller batches are filled up, not recompiled."""
    for network in generator.networks():
        network.compile(dynamic=False)


def interleaved(classes: int, ipc: int | None) -> Iterator[tuple[int, int]]:
    """Yield (label, index), all classes in turn, so that a cut leaves them within one image; endless without `ipc`."""
    for index in count() if ipc is None else range(ipc):
        for label in range(classes):
            yield label, index


class Source:
    """What comes next in a job, and the pixels of it.

    Attributes:
        steps, batch_size: as the job says, else the generator's defaults; the batch shrinks when memory runs out.
        filled: whether smaller batches are filled up to `batch_size`, because a compiled network knows no other.
        end: why there is nothing left: `ipc` reached, or the choices of a selector `exhausted`.
    """

    def __init__(self, generator: GeneratorBase, job: Job, challenge: Challenge) -> None:
        info: GeneratorInfo = generator.info
        self.generator = generator
        self.seed = job.seed
        self._device, self._size = job.device, challenge.size
        self.steps = job.steps or generator.default_steps(Path(job.weights) if job.weights else None)
        self.batch_size = job.batch_size or info.default_batch
        self.filled = compiles(job.settings)
        ipc, self.end = images_to_generate(job.ipc, job.pda), "ipc"
        if isinstance(generator, Selector):
            available = generator.available()
            if ipc is None or available < ipc:
                ipc, self.end = available, "exhausted"
        self._workers: Workers | None = None
        if job.device == "cpu" and info.parts:
            from evaluation.judge.parallel import Workers

            self._workers = Workers()
        self._order: Iterator[tuple[int, int]] = interleaved(challenge.classes, ipc)

    def take(self, size: int) -> list[tuple[int, int]]:
        """The next `size` (label, index) pairs, fewer at the end."""
        return list(islice(self._order, size))

    def costs(self, images: int) -> int:
        """A batch of so many images takes as long as one of `images`."""
        return max(images, self.batch_size) if self.filled else images

    def make(self, batch: list[tuple[int, int]]) -> NDArray[np.uint8]:
        """uint8 (B, H, W, 3) at the challenge's size, as the writer takes it.

        Where memory runs out, be it in resizing, in halves, and in smaller batches from then on.
        """
        import numpy as np

        made: list[NDArray[np.uint8]] = []
        size = len(batch)
        while batch:
            tried = self.costs(len(batch[:size]))
            try:
                made.append(decoded(self.make_whole(batch[:size]), self._size))
                batch = batch[size:]
                continue
            except Exception as error:
                if not is_out_of_memory(error) or tried == 1:
                    raise
            free_memory(self._device)  # outside the handler, so that the failed call's tensors are free
            size = tried // 2
            self.batch_size = min(self.batch_size, size)
        return np.concatenate(made)

    def make_whole(self, batch: list[tuple[int, int]]) -> Tensor:
        """uint8 (B, 3, H, W) for `batch` at once, at the generator's own size and on its device."""
        import torch

        if self._workers is None:
            return self._make_part(batch)
        each = self._part_size(len(batch))
        parts = [batch[start : start + each] for start in range(0, len(batch), each)]
        return torch.cat(self._workers.map(self._make_part, parts))

    def _part_size(self, images: int) -> int:
        """Images of a batch that are made in one call: all of them, or those of one worker."""
        return -(-images // self._workers.count) if self._workers else images

    def _make_part(self, part: list[tuple[int, int]]) -> Tensor:
        import torch

        wanted = len(part)
        if self.filled:
            part = part + [part[-1]] * (self._part_size(self.batch_size) - wanted)
        labels_B, indices_B = torch.tensor(part).unbind(1)
        if isinstance(self.generator, Selector):
            return as_asked(self.generator.select(labels_B, indices_B), len(part))
        assert isinstance(self.generator, Generator), "a generator generates or selects"
        seeds_B = torch.tensor([image_seed(self.seed, label, index) for label, index in part])
        made = self.generator.generate_numbered(labels_B, indices_B, seeds_B, self.steps)
        return as_asked(made, len(part))[:wanted]


def as_asked(made: object, images: int) -> Tensor:
    """`made` if it is what the contract asks for. Raises ValueError, with what came instead, if it is not."""
    import torch

    if isinstance(made, torch.Tensor):
        if made.dtype == torch.uint8 and made.ndim == 4 and made.shape[:2] == (images, 3) and 0 not in made.shape:
            return made
        came = f"{str(made.dtype).removeprefix('torch.')} {tuple(made.shape)}"
    else:
        came = f"{type(made).__module__}.{type(made).__qualname__}"
    raise ValueError(
        f"the generator gave {came} for {images} labels; it must give a torch tensor of uint8 in [0, 255],"
        f" ({images}, 3, height, width)"
    )


def decoded(images_BCHW: Tensor, size: int) -> NDArray[np.uint8]:
    """What a generator gave as the writer takes it: uint8 (B, H, W, 3) at `size` in the computer's own memory."""
    return resize_uint8(images_BCHW, size).permute(0, 2, 3, 1).contiguous().cpu().numpy()
