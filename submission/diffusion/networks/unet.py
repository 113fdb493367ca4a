"""A small class-conditional U-Net whose every layer keeps the magnitude of its input (arXiv 2312.02696, config G).

Without normalisation layers almost all time goes into convolutions, so it is fast on a CPU too. Images are folded into
patches at the stem, so the widest maps are `size / patch` pixels wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class UNetConfig:
    """Shape of the network.

    Attributes:
        size: height and width of an image, pixels.
        patch: side of the pixel patch that one position of the widest map holds.
        widths: channels of each level; each level halves the map.
        blocks: residual blocks a level in the encoder; the decoder has one more.
        attention: map sizes (`size / patch / 2**level`) at which blocks end in self-attention.
    """

    size: int
    patch: int
    widths: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        assert self.widths and self.size % (self.patch * 2 ** (len(self.widths) - 1)) == 0

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> UNetConfig:
        """The inverse of `asdict` and a passage through JSON."""
        lists = {name: tuple(config[name]) for name in ("widths", "attention")}
        return cls(**{**config, **lists})


# name -> the challenge it is for, and its shape. GMACs are of one evaluation of one image.
#                                       size patch widths      blocks attention         parameters   GMACs
PRESETS: dict[str, tuple[str, UNetConfig]] = {
    "digits":            ("digits",        UNetConfig(32, 2, (32, 64, 80), 1, (4,))),         #  1.42M   0.063
    "cifar100-cpu":      ("cifar100",      UNetConfig(32, 2, (48, 96, 128), 1, (4,))),        #  3.46M   0.143
    "cifar100-gpu":      ("cifar100",      UNetConfig(32, 1, (96, 144, 160), 2, (16, 8))),    # 10.39M   2.391
    "tiny-imagenet-cpu": ("tiny-imagenet", UNetConfig(64, 2, (32, 64, 96, 112), 1, (8,))),    #  3.09M   0.286
    "tiny-imagenet-gpu": ("tiny-imagenet", UNetConfig(64, 2, (80, 112, 112), 1, (16, 8))),    #  4.04M   0.998
}  # fmt: skip

RESIDUAL_BALANCE = 0.3  # weight of the new branch in a residual sum, the paper's
CONDITION_BALANCE = 0.5  # of the class against the noise level


def unit(weight: Tensor) -> Tensor:
    """`weight` (out, ...) in fp32 with each output's filter scaled to length 1 (equation 47)."""
    w = weight.float().flatten(1)
    return (w / w.norm(dim=1, keepdim=True).clamp_min(1e-8)).view_as(weight)


def mp_silu(x: Tensor) -> Tensor:
    """SiLU that keeps unit magnitude (equation 81)."""
    return F.silu(x) / 0.596


def mp_sum(a: Tensor, b: Tensor, weight: float) -> Tensor:
    """`(1 - weight) a + weight b`, rescaled to unit magnitude (equation 88)."""
    norm = math.hypot(1 - weight, weight)
    return a * ((1 - weight) / norm) + b * (weight / norm)


def mp_concatenate(a_BCHW: Tensor, b_BDHW: Tensor) -> Tensor:
    """Both along the channels, each contributing alike whatever its channel count (equation 103)."""
    a, b = a_BCHW.shape[1], b_BDHW.shape[1]
    scale = math.sqrt((a + b) / 2)
    return torch.cat([a_BCHW * (scale / math.sqrt(a)), b_BDHW * (scale / math.sqrt(b))], dim=1)


def pixel_norm(x: Tensor, dim: int = 1) -> Tensor:
    """`x` with unit mean square over `dim` (equation 30)."""
    return x * (x.float().square().mean(dim, keepdim=True) + 1e-8).rsqrt().to(x.dtype)


class Layer(nn.Module):
    """A convolution, or linear layer for `kernel` 0, without bias, with unit-length filters, in its input's type.

    `fold` stores the effective weights, so that inference does not normalise them again.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        shape = (outputs, inputs, kernel, kernel) if kernel else (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(shape))
        self.folded = False

    def forward(self, x: Tensor) -> Tensor:
        weight = (self.weight if self.folded else unit(self.weight)).to(x.dtype)
        if weight.ndim == 2:
            return x @ weight.t()
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)


class Block(nn.Module):
    """Residual block: two 3x3 convolutions, the condition scaling the maps between them, and attention on request."""

    def __init__(self, inputs: int, outputs: int, condition: int, *, attention: bool, dropout: float) -> None:
        super().__init__()
        self.skip = Layer(inputs, outputs, 1) if inputs != outputs else None
        self.conv1 = Layer(inputs, outputs, 3)
        self.scale = Layer(condition, outputs, 0)
        self.gain = nn.Parameter(torch.zeros(()))
        self.conv2 = Layer(outputs, outputs, 3)
        self.attention = Attention(outputs) if attention else None
        self.dropout = dropout

    def forward(self, x_BCHW: Tensor, condition_BD: Tensor) -> Tensor:
        y = self.conv1(mp_silu(x_BCHW))
        scale_BC = 1 + self.scale(condition_BD) * self.gain.to(y.dtype)
        y = mp_silu(y * scale_BC[:, :, None, None])
        y = self.conv2(F.dropout(y, self.dropout, self.training))
        x = x_BCHW if self.skip is None else self.skip(x_BCHW)
        x = mp_sum(x, y, RESIDUAL_BALANCE)
        return x if self.attention is None else self.attention(x)


class Attention(nn.Module):
    """Self-attention over the positions of a map, with queries, keys and values of unit magnitude."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // 64)
        self.qkv = Layer(channels, 3 * channels, 1)
        self.out = Layer(channels, channels, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        B, C, H, W = x_BCHW.shape
        qkv = self.qkv(x_BCHW).permute(0, 2, 3, 1).reshape(B, H * W, 3, self.heads, C // self.heads)
        q, k, v = pixel_norm(qkv, dim=-1).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        y_BCHW = y.transpose(1, 2).reshape(B, H, W, C).permute(0, 3, 1, 2)
        return mp_sum(x_BCHW, self.out(y_BCHW), RESIDUAL_BALANCE)


class UNet(nn.Module):
    """The network F of the preconditioned denoiser; label `classes` is the null class: no label."""

    frequencies: Tensor
    phases: Tensor

    def __init__(self, config: UNetConfig, classes: int, augment: int, dropout: float = 0.0) -> None:
        """`augment` is the length of the augmentation condition; `dropout` acts in training mode only."""
        super().__init__()
        self.config = config
        self.classes = classes
        widths = config.widths
        features, condition = widths[0], 4 * widths[0]
        pixels = 3 * config.patch**2

        self.register_buffer("frequencies", torch.randn(features))
        self.register_buffer("phases", torch.rand(features))
        self.embed_noise = Layer(features, condition, 0)
        self.embed_class = Layer(classes + 1, condition, 0)
        self.embed_augment = nn.Linear(augment, condition, bias=False)
        nn.init.zeros_(self.embed_augment.weight)

        def block(inputs: int, level: int) -> Block:
            attention = config.size // config.patch // 2**level in config.attention
            return Block(inputs, widths[level], condition, attention=attention, dropout=dropout)

        self.stem = Layer(pixels + 1, widths[0], 3)  # one constant channel stands for the biases
        self.encoder = nn.ModuleList()
        skips, width = [widths[0]], widths[0]
        for level in range(len(widths)):
            for _ in range(config.blocks + (level > 0)):  # below the first level, the first block follows a halving
                self.encoder.append(block(width, level))
                width = widths[level]
                skips.append(width)
        self.middle = block(width, len(widths) - 1)
        self.decoder = nn.ModuleList()
        for level in reversed(range(len(widths))):
            for _ in range(config.blocks + 1):  # above the last level, the first block follows a doubling
                self.decoder.append(block(width + skips.pop(), level))
                width = widths[level]
        self.out = Layer(width + pixels + 1, pixels, 3)  # sees the input too: at little noise the answer is its noise
        self.out_gain = nn.Parameter(torch.zeros(()))

    def forward(self, x_B3HW: Tensor, noise_B: Tensor, labels_B: Tensor, augment_BA: Tensor | None = None) -> Tensor:
        """F(x; noise level, class, augmentation), of the shape and type of `x_B3HW`.

        Args:
            x_B3HW: noisy images at unit variance, float.
            noise_B: ln(sigma) / 4.
            labels_B: int64 in [0, classes]; `classes` is the null class.
            augment_BA: the augmentation condition, None for zeros: images as they are.
        """
        condition_BD = self._condition(noise_B, labels_B, augment_BA).to(x_B3HW.dtype)
        folded = F.pixel_unshuffle(x_B3HW, self.config.patch)
        constant = torch.ones_like(folded[:, :1])
        folded = torch.cat([folded, constant], dim=1).contiguous(memory_format=torch.channels_last)
        x = self.stem(folded)
        skips = [x]
        for index, block in enumerate(self.encoder):
            if self._level_starts(index):
                x = F.avg_pool2d(x, 2)
            x = block(pixel_norm(x), condition_BD)
            skips.append(x)
        x = self.middle(x, condition_BD)
        for index, block in enumerate(self.decoder):
            if index and index % (self.config.blocks + 1) == 0:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(mp_concatenate(x, skips.pop()), condition_BD)
        x = self.out(mp_concatenate(x, folded)) * self.out_gain.to(x.dtype)
        return F.pixel_shuffle(x, self.config.patch)

    def layers(self) -> Iterator[Layer]:
        return (module for module in self.modules() if isinstance(module, Layer))

    def _level_starts(self, index: int) -> bool:
        """Whether encoder block `index` is the first of a level below the first."""
        return index >= self.config.blocks and (index - self.config.blocks) % (self.config.blocks + 1) == 0

    def _condition(self, noise_B: Tensor, labels_B: Tensor, augment_BA: Tensor | None) -> Tensor:
        angles_BC = 2 * math.pi * (noise_B.float()[:, None] * self.frequencies + self.phases)
        noise_BD = self.embed_noise(angles_BC.cos() * math.sqrt(2))
        one_hot = F.one_hot(labels_B, self.classes + 1).to(noise_BD.dtype)  # a lookup whose gradient is deterministic
        class_BD = self.embed_class(one_hot * math.sqrt(self.classes + 1))
        condition_BD = mp_sum(noise_BD, class_BD, CONDITION_BALANCE)
        if augment_BA is not None:
            condition_BD = condition_BD + self.embed_augment(augment_BA.to(noise_BD.dtype))
        return mp_silu(condition_BD)


@torch.no_grad()
def renormalise(network: UNet) -> None:
    """Give each filter the length sqrt(fan-in) again, so that the learning rate keeps its meaning (equation 66)."""
    for layer in network.layers():
        layer.weight.copy_(unit(layer.weight) * math.sqrt(layer.weight[0].numel()))


@torch.no_grad()
def fold(network: UNet) -> UNet:
    """Make each stored filter the effective one, in place: the form for inference and for shipping."""
    for layer in network.layers():
        layer.weight.copy_(unit(layer.weight))
        layer.folded = True
    return network.eval().requires_grad_(False)


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: UNet) -> int:
    """Multiply-accumulates of one evaluation of one image, convolutions and linear layers alone."""
    from torch.utils.flop_counter import FlopCounterMode

    size, device = network.config.size, network.out_gain.device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        labels_B = torch.zeros(1, dtype=torch.int64, device=device)
        network(torch.zeros(1, 3, size, size, device=device), torch.zeros(1, device=device), labels_B)
    counts = counter.get_flop_counts()["Global"]
    return sum(flop for operation, flop in counts.items() if "attention" not in str(operation)) // 2
