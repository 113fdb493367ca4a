"""Small EDM networks with random weights, and the files that `edm` loads."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from evaluation.base.challenge import get_challenge
from submission.classes.imagenet import imagenet_wnids
from submission.contract.weights import WeightsHeader, save_weights
from submission.diffusion.networks.edm_unet import DhariwalUNet, EDMUNet, EDMUNetConfig, SongUNet
from submission.generators.edm import IMAGENET

TINY = EDMUNetConfig(16, 10, width=16, multipliers=(1, 2), blocks=1, attention=(8,), augment=9)


def song(**changes: Any) -> SongUNet:
    return _seeded(SongUNet(EDMUNetConfig(**{**TINY.__dict__, **changes})))


def dhariwal(**changes: Any) -> DhariwalUNet:
    return _seeded(DhariwalUNet(EDMUNetConfig(**{**TINY.__dict__, "multipliers": (4, 8), "augment": 0, **changes})))


def _seeded(network: Any) -> Any:
    """Random weights of a size that makes the images differ by label and by pixel."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            norm = parameter.ndim == 1 and "norm" in name and name.endswith("weight")
            std = 1 / parameter[0].numel() ** 0.5 if parameter.ndim > 1 else 0.1
            parameter.copy_(norm + std * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def write_edm(path: Path, network: EDMUNet, dataset: str = "digits", generator: str = "edm") -> Path:
    names = imagenet_wnids() if dataset == IMAGENET else get_challenge(dataset).class_names
    model = {"architecture": type(network).__name__, "network": asdict(network.config), "sigma_data": 0.5}
    header = WeightsHeader(generator, dataset, names, "nothing", "Apache-2.0", 0, model)
    save_weights(path, network.state_dict(), header, half=False)
    return path
