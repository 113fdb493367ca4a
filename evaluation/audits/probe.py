"""The probe: a small classifier of real images that the audits use, shipped with facts about those images.

It never scores a submission. It was trained by `python -m evaluation.audits.train_probe` on the training split alone.
"""

from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from evaluation.base.challenge import Challenge
from evaluation.base.files import written_whole
from evaluation.base.images import normalise

_FOLDER = Path(__file__).with_name("probes")
_INPUT_SIZE = 32  # larger images are averaged down to it
_BATCH = 512


class ProbeNetwork(nn.Module):
    """Four convolutions with batch norm, 22 million multiply-adds per image."""

    def __init__(self, classes: int, widths: tuple[int, int, int, int] = (48, 96, 128, 192)) -> None:
        super().__init__()
        channels = (3, *widths)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels[i], width, 3 if i else 5, stride=1 if i else 2, padding=1 if i else 2, bias=False)
            for i, width in enumerate(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """What `probe_input` makes of images, (B, 3, 32, 32), -> logits (B, classes)."""
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x_BCHW = F.relu(norm(convolution(x_BCHW)))
            if i in (1, 2):
                x_BCHW = F.max_pool2d(x_BCHW, 2)
        return self.head(x_BCHW.mean((2, 3)))


@dataclass(frozen=True)
class Facts:
    """What is known of a challenge's real training images.

    Attributes:
        profiles: float32 (classes, classes), the probe's mean logits over held-out images of each class.
        colours: float32 (classes, 3), mean RGB of each class, in [0, 1].
        spreads: float32 (classes,), `evaluation.audits.diversity.spread` of each class.
    """

    profiles: NDArray[np.float32]
    colours: NDArray[np.float32]
    spreads: NDArray[np.float32]


@dataclass(frozen=True)
class Probe:
    """A trained network in evaluation mode, its accuracy on held-out real images, and the facts beside it."""

    network: ProbeNetwork
    accuracy: float
    facts: Facts


def probe_input(images: NDArray[np.uint8], challenge: Challenge) -> Tensor:
    """uint8 (B, 3, H, W), H and W multiples of 32, -> float32 (B, 3, 32, 32), averaged down and normalised."""
    x_BCHW = torch.from_numpy(normalise(images, challenge))
    x_BCHW = F.avg_pool2d(x_BCHW, x_BCHW.shape[-1] // _INPUT_SIZE)
    return x_BCHW.contiguous(memory_format=torch.channels_last)


def network_logits(network: ProbeNetwork, images: NDArray[np.uint8], challenge: Challenge) -> NDArray[np.float32]:
    """uint8 (N, 3, H, W) at the challenge's size -> logits float32 (N, classes)."""
    logits = np.empty((len(images), challenge.classes), np.float32)
    with torch.inference_mode():
        for start in range(0, len(images), _BATCH):
            x_BCHW = probe_input(images[start : start + _BATCH], challenge)
            logits[start : start + _BATCH] = network(x_BCHW).numpy()
    return logits


def probe_path(challenge: Challenge) -> Path:
    """The file of a challenge's shipped probe."""
    return _FOLDER / f"{challenge.name}.safetensors"


def save_probe(path: Path, network: ProbeNetwork, facts: Facts, accuracy: float) -> None:
    """Write network and facts in half precision, batch norm in full."""
    from safetensors.torch import save_file

    tensors = network.state_dict() | {name: torch.from_numpy(fact) for name, fact in asdict(facts).items()}
    halved = {name: tensor if name.startswith("norms") else tensor.half() for name, tensor in tensors.items()}
    with written_whole(path) as part:
        save_file({name: tensor.contiguous() for name, tensor in halved.items()}, part, {"accuracy": f"{accuracy:.4f}"})


@cache
def load_probe(challenge: Challenge) -> Probe:
    """The shipped probe of a challenge."""
    from safetensors import safe_open

    with safe_open(probe_path(challenge), "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)
        accuracy = float(file.metadata()["accuracy"])
    facts = Facts(*(tensors.pop(field.name).float().numpy() for field in fields(Facts)))
    network = ProbeNetwork(challenge.classes)
    network.load_state_dict(tensors)
    return Probe(network.eval().to(memory_format=torch.channels_last), accuracy, facts)  # type: ignore[call-overload]
