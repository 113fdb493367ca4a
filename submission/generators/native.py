"""`native`: the project's own diffusion model, trained on the challenge's training split at its own resolution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from submission.contract.generator import Generator, GeneratorInfo, LoadContext
from submission.contract.pixels import to_uint8
from submission.contract.precision import PRECISION, dtype_of
from submission.contract.seeded import noise
from submission.contract.settings import COMPILE, Settings, choice, number
from submission.contract.weights import OwnWeights, read_header
from submission.diffusion.guidance import GUIDANCE, denoise_guided
from submission.diffusion.networks.denoiser import Denoiser
from submission.diffusion.networks.unet import UNet
from submission.diffusion.pixel_model import load_denoiser
from submission.diffusion.samplers import CONSISTENCY, SOLVERS, sample, sample_consistency

SOLVER = choice("solver", "dpm2m", (*SOLVERS, CONSISTENCY), "of the sampling; the weights say their own")
NOISE_SCALE = number("noise_scale", 1.0, 0.0, 2.0, "std scale of the initial noise; below 1 less diverse")


class Native(OwnWeights, Generator):
    """A small class-conditional diffusion model (`submission.diffusion.networks`), sampled in a few evaluations."""

    info = GeneratorInfo(
        name="native",
        summary="the project's own diffusion model at the native resolution, trained from scratch",
        default_steps=8,
        default_batch=100,
        weights_from="shipped with the project",
        parts=True,
        settings=(SOLVER, GUIDANCE, NOISE_SCALE, PRECISION, COMPILE),
    )

    def __init__(
        self,
        denoiser: Denoiser[UNet],
        solver: str,
        guidance: float = 1.0,
        noise_scale: float = 1.0,
        middle: float | None = None,
    ) -> None:
        """`denoiser` holds a folded network in channels-last form; `middle` is for the solver CONSISTENCY alone."""
        self.denoiser = denoiser
        self.solver = solver
        self.guidance = guidance
        self.noise_scale = noise_scale
        self.middle = middle

    @classmethod
    def default_steps(cls, weights: Path | None) -> int:
        """As chosen on held-out training images when the weights were made."""
        return cls.info.default_steps if weights is None else int(read_header(weights).model["steps"])

    @classmethod
    def check_settings(cls, settings: Settings, weights: Path | None) -> None:
        if weights is None:
            return
        model = read_header(weights).model
        if model["solver"] == CONSISTENCY:
            if settings[SOLVER] != CONSISTENCY:
                raise ValueError(f"{weights} holds a consistency model, which no other solver fits; leave out solver")
            if settings[GUIDANCE] != model.get(GUIDANCE.name, 1):
                raise ValueError(f"{weights} holds a consistency model, which cannot be guided; leave out guidance")
        elif settings[SOLVER] not in (*SOLVERS, CONSISTENCY):
            raise ValueError(
                f"{weights} names the solver {settings[SOLVER]!r}, which is no longer there; add --set solver=NAME, one"
                f" of: {', '.join(SOLVERS)}"
            )
        elif settings[SOLVER] == CONSISTENCY:
            raise ValueError(
                f"solver {CONSISTENCY} needs weights from `python -m submission.training distill`, and {weights} holds"
                f" others; choose one of: {', '.join(SOLVERS)}"
            )

    @classmethod
    def load(cls, context: LoadContext) -> Native:
        path = context.weights or cls.find_weights(context.challenge, None)
        settings = cls.resolve_settings(context.settings, path)
        denoiser, header = load_denoiser(path, context.challenge, context.device, dtype_of(settings, context.device))
        middle = header.model.get("middle")
        return cls(denoiser, settings[SOLVER], settings[GUIDANCE], settings[NOISE_SCALE], middle)

    def networks(self) -> Sequence[nn.Module]:
        return (self.denoiser.network,)

    @torch.inference_mode()
    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate`; `steps` counts evaluations of the network."""
        device = self.denoiser.network.out_gain.device
        labels_B, seeds_B = labels_B.to(device), seeds_B.to(device)

        def denoise(x_B3HW: Tensor, sigma: float) -> Tensor:
            return denoise_guided(self.denoiser, x_B3HW, sigma, labels_B, self.guidance)

        if self.solver == CONSISTENCY:
            assert self.middle is not None
            x_B3HW = sample_consistency(denoise, lambda i: self._noise(seeds_B, i), steps, self.middle)
        else:
            x_B3HW = sample(self.solver, denoise, self._noise(seeds_B, 0), steps)
        return to_uint8(x_B3HW)

    def _noise(self, seeds_B: Tensor, evaluation: int) -> Tensor:
        """Fresh noise of each image's own for each evaluation that takes some; the first is scaled."""
        size = self.denoiser.network.config.size
        noise_B3HW = noise(seeds_B, (3, size, size), evaluation).contiguous(memory_format=torch.channels_last)
        return noise_B3HW if evaluation else noise_B3HW * self.noise_scale
