"""`edm`: the published networks of EDM (arXiv 2206.00364) and of the same form, converted from their pickles before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evaluation.base.challenge import Challenge
from submission.classes.imagenet import SKIP, LabelChoice, imagenet_choices, imagenet_wnids
from submission.contract.generator import Generator, GeneratorInfo, LoadContext
from submission.contract.pixels import to_uint8
from submission.contract.precision import PRECISION, dtype_of
from submission.contract.seeded import noise
from submission.contract.settings import COMPILE, Settings, choice, number
from submission.contract.weights import WeightsHeader, read_header, read_tensors
from submission.diffusion.guidance import GUIDANCE, denoise_guided
from submission.diffusion.networks.denoiser import Denoiser
from submission.diffusion.networks.edm_unet import DhariwalUNet, EDMUNet, EDMUNetConfig, SongUNet
from submission.diffusion.samplers import SIGMA_MAX, SOLVERS, sample

IMAGENET = "imagenet"  # what a file of an ImageNet network names in the place of a challenge
ARCHITECTURES: dict[str, Callable[[EDMUNetConfig], EDMUNet]] = {"SongUNet": SongUNet, "DhariwalUNet": DhariwalUNet}
_CONVERT = "`python -m submission.training convert-edm FILE.pkl --dataset {} --out weights`"


SOLVER = choice("solver", "ipndm", tuple(SOLVERS), "of the sampling")
NOISE_LEVEL = number("sigma_max", SIGMA_MAX, 0.01, 1000, "noise level to begin at; one-step networks have their own")


class Edm(Generator):
    """A published network in the project's own weights file, sampled in a few evaluations at its native size."""

    info = GeneratorInfo(
        name="edm",
        summary="published EDM networks of CIFAR-100 (32 px) and ImageNet (64 px), and one-step ones of their form",
        default_steps=10,
        external_data="none with a CIFAR-100 network; ImageNet-1k with one of ImageNet",
        pretrained="a network in the EDM format; which one, the header of its file says",
        weights_from="a published file, converted, as --weights",
        licence="that of the network; the header of its file says it",
        parts=True,
        settings=(SOLVER, GUIDANCE, NOISE_LEVEL, PRECISION, COMPILE),
    )

    def __init__(self, denoiser: Denoiser[EDMUNet], choice: LabelChoice, settings: Settings) -> None:
        self.denoiser = denoiser
        self.choice = choice
        self.settings = settings

    @classmethod
    def check_settings(cls, settings: Settings, weights: Path | None) -> None:
        if weights is None or settings[GUIDANCE] == 1:
            return
        if not read_header(weights).model.get("network", {}).get("label_dropout"):
            raise ValueError(f"{weights} was trained with labels alone; leave out --set guidance")

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path:
        how = _CONVERT.format(IMAGENET if challenge.wnids else challenge.name)
        if source is None:
            raise ValueError(f"generator 'edm' needs --weights: convert a published network with {how}")
        path = Path(source)
        if path.is_dir():
            names = [f"edm-{name}.safetensors" for name in (challenge.name, IMAGENET)]
            found = [path / name for name in names if (path / name).is_file()]
            if not found:
                raise ValueError(f"{path} holds no {' or '.join(names)}; convert a published network with {how}")
            path = found[0]
        if path.suffix == ".pkl":
            raise ValueError(f"{path} is a pickle, which no run loads; convert it with {how}")
        label_choices(path, read_header(path), challenge)
        return path

    @classmethod
    def load(cls, context: LoadContext) -> Edm:
        assert context.weights is not None, "find_weights gives a path or raises"
        settings = cls.resolve_settings(context.settings, context.weights)
        header = read_header(context.weights)
        choices = label_choices(context.weights, header, context.challenge)
        network = load_network(context.weights, header).eval().requires_grad_(False)
        dtype = dtype_of(settings, context.device)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.GroupNorm):  # the condition stays in fp32, as it was trained
                layer.to(dtype)
        network = network.to(context.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        denoiser = Denoiser(network, header.model["sigma_data"], dtype)
        return cls(denoiser, LabelChoice(choices, context.device), settings)

    def networks(self) -> Sequence[nn.Module]:
        return (self.denoiser.network,)

    @torch.inference_mode()
    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate`; `steps` counts evaluations of the network."""
        device, size = self.choice.labels_N.device, self.denoiser.network.config.size
        seeds_B = seeds_B.to(device)
        labels_B = self.choice(labels_B.to(device), seeds_B)
        noise_B3HW = noise(seeds_B, (3, size, size), skip=SKIP).contiguous(memory_format=torch.channels_last)
        guidance, sigma_max = self.settings[GUIDANCE], self.settings[NOISE_LEVEL]

        def denoise(x_B3HW: Tensor, sigma: float) -> Tensor:
            return denoise_guided(self.denoiser, x_B3HW, sigma, labels_B, guidance)

        return to_uint8(sample(self.settings[SOLVER], denoise, noise_B3HW, steps, sigma_max))


def label_choices(path: Path, header: WeightsHeader, challenge: Challenge) -> tuple[tuple[int, ...], ...]:
    """The network's labels for each label of `challenge`. Raises ValueError for another generator's or classes."""
    if header.generator != "edm":
        raise ValueError(f"{path} holds weights of generator {header.generator!r}, not of 'edm'")
    if header.class_names == challenge.class_names:
        return tuple((label,) for label in range(challenge.classes))
    if header.class_names == imagenet_wnids():
        return imagenet_choices(challenge)
    raise ValueError(
        f"{path} knows the {len(header.class_names)} classes of {header.challenge!r}, not the {challenge.classes} of"
        f" {challenge.name!r}; give weights of {challenge.name!r} or of ImageNet"
    )


def load_network(path: Path, header: WeightsHeader) -> EDMUNet:
    """The network of a weights file, in fp32. Raises ValueError where its tensors are not those that it describes."""
    try:
        with torch.device("meta"):  # no time for random weights, which the file's replace
            network = build_network(header.model)
        network.load_state_dict(read_tensors(path), assign=True)
    except (RuntimeError, KeyError, TypeError):
        raise ValueError(f"{path} does not hold the tensors of the network that its header describes") from None
    return network


def build_network(model: Mapping[str, Any]) -> EDMUNet:
    """The network that a header's `model` describes, with random weights."""
    return ARCHITECTURES[model["architecture"]](EDMUNetConfig.from_json(model["network"]))
