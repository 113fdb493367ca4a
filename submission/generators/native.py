"""`native`: the project's own diffusion model, trained on the challenge's training split at its own resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluation.challenge import Challenge
from submission.generator import Generator, GeneratorInfo, LoadContext
from submission.guidance import parse_guidance
from submission.networks.edm import AUGMENT_CONDITION, SIGMA_DATA, Denoiser
from submission.networks.unet import UNet, UNetConfig, fold
from submission.precision import PRECISIONS, check_precision, fastest_precision
from submission.samplers import SOLVERS, sample
from submission.sampling import denoise_guided
from submission.seeded import normal
from submission.weights import WeightsHeader, find_weights_file, load_weights, read_header


@dataclass(frozen=True)
class NativeSettings:
    """What `--set` can change.

    Attributes:
        solver: a key of `submission.samplers.SOLVERS`; None for the one that the weights were tuned with.
        guidance: 1 for none; above 1 sharpens the class at twice the cost and some diversity.
        precision: a key of `PRECISIONS`; None for bf16 where the device computes in it, else fp32.
    """

    solver: str | None = None
    guidance: float = 1.0
    precision: str | None = None

    @classmethod
    def parse(cls, settings: Mapping[str, str]) -> NativeSettings:
        """Raises ValueError for a value that a setting cannot take."""
        if "solver" in settings and settings["solver"] not in SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, not {settings['solver']!r}")
        return cls(settings.get("solver"), parse_guidance(settings), check_precision(settings))


class Native(Generator):
    """A small class-conditional diffusion model (`submission.networks`), sampled in a few evaluations."""

    info = GeneratorInfo(
        name="native",
        summary="the project's own diffusion model at the native resolution, trained from scratch",
        default_steps=8,
        default_batch=100,
        weights_from="shipped with the project",
        parts=True,
        settings=("solver", "guidance", "precision"),
    )

    def __init__(self, denoiser: Denoiser[UNet], solver: str, guidance: float = 1.0) -> None:
        """`denoiser` holds a folded network in channels-last form."""
        self.denoiser = denoiser
        self.solver = solver
        self.guidance = guidance

    @classmethod
    def default_steps(cls, weights: Path | None) -> int:
        """As chosen on held-out training images when the weights were made."""
        return cls.info.default_steps if weights is None else int(read_header(weights).model["steps"])

    @classmethod
    def check_settings(cls, settings: Mapping[str, str]) -> None:
        super().check_settings(settings)
        NativeSettings.parse(settings)

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path:
        return find_weights_file("native", challenge, source)

    @classmethod
    def load(cls, context: LoadContext) -> Native:
        settings = NativeSettings.parse(context.settings)
        path = context.weights or cls.find_weights(context.challenge, None)
        dtype = PRECISIONS[settings.precision] if settings.precision else fastest_precision(context.device)
        denoiser, header = load_denoiser(path, context.challenge, context.device, dtype)
        return cls(denoiser, settings.solver or header.model["solver"], settings.guidance)

    @torch.inference_mode()
    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate`; `steps` counts evaluations of the network."""
        size = self.denoiser.network.config.size
        device = self.denoiser.network.out_gain.device
        labels_B = labels_B.to(device)
        noise_BN = normal(seeds_B.to(device), 3 * size * size)
        noise_B3HW = noise_BN.view(-1, 3, size, size).contiguous(memory_format=torch.channels_last)
        x_B3HW = sample(self.solver, lambda x, sigma: self._denoise(x, sigma, labels_B), noise_B3HW, steps)
        return ((x_B3HW + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8).contiguous()

    def _denoise(self, x_B3HW: Tensor, sigma: float, labels_B: Tensor) -> Tensor:
        return denoise_guided(self.denoiser, x_B3HW, sigma, labels_B, self.guidance)


def load_denoiser(path: Path, challenge: Challenge, device: str, dtype: torch.dtype) -> tuple[Denoiser, WeightsHeader]:
    """The denoiser of a weights file, for inference, and its header. Raises ValueError where it does not fit."""
    tensors, header = load_weights(path, "native", challenge)
    network = build_network(header.model["network"], challenge)
    load_tensors(network, tensors, path)
    return inference_denoiser(network, device, dtype, header.model["sigma_data"]), header


def build_network(shape: Mapping[str, Any], challenge: Challenge, dropout: float = 0.0) -> UNet:
    """The network of `shape`, a UNetConfig as JSON, with random weights."""
    return UNet(UNetConfig.from_json(shape), challenge.classes, AUGMENT_CONDITION, dropout)


def inference_denoiser(
    network: UNet, device: str, dtype: torch.dtype, sigma_data: float = SIGMA_DATA
) -> Denoiser[UNet]:
    """The form for `Native`: `network` itself, folded, its layers in `dtype`; the noise level's features stay fp32."""
    network = fold(network).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for layer in network.layers():
        layer.to(dtype)
    return Denoiser(network, sigma_data, dtype)


def load_tensors(network: UNet, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raises ValueError where the tensors are not those of the network that the header describes."""
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise ValueError(f"{path} does not hold the tensors of the network that its header describes") from None
