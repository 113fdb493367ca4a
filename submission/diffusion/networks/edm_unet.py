"""The two networks of EDM (arXiv 2206.00364): DDPM++, published as `SongUNet`, and ADM, as `DhariwalUNet`.

Modules and tensors are named and shaped as in the published files. For inference only: there is no dropout.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Resample = Literal["up", "down"]


@dataclass(frozen=True)
class EDMUNetConfig:
    """Shape of the network.

    Attributes:
        size: height and width of an image, pixels.
        classes: of the labels; the label `classes` stands for none.
        width: channels that `multipliers` multiply, and length of the noise level's features.
        multipliers: of each level; each level after the first halves the map.
        blocks: residual blocks a level in the encoder; the decoder has one more.
        attention: map sizes at which blocks end in self-attention.
        augment: length of the augmentation condition, 0 where there is none.
        label_dropout: fraction of the training without a label; where it is 0 the network knows no null label.
    """

    size: int
    classes: int
    width: int
    multipliers: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    augment: int = 0
    label_dropout: float = 0.0

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> EDMUNetConfig:
        """The inverse of `asdict` and a passage through JSON."""
        lists = {name: tuple(config[name]) for name in ("multipliers", "attention")}
        return cls(**{**config, **lists})


@dataclass(frozen=True)
class BlockStyle:
    """Where the blocks of the two architectures differ.

    Attributes:
        adaptive: whether the condition scales and shifts the normalised map; else it is added before normalising.
        residual_scale: factor of each residual sum.
        eps: of the normalisations.
        head_width: channels of an attention head; None for one head over all.
        projected_resampling: whether the skip of a block that resamples has a 1x1 convolution in any case.
    """

    adaptive: bool
    residual_scale: float
    eps: float
    head_width: int | None
    projected_resampling: bool


def group_norm(channels: int, eps: float) -> nn.GroupNorm:
    """Over groups of four channels at least, at most 32 groups."""
    return nn.GroupNorm(min(32, channels // 4), channels, eps)


def resample(x_BCHW: Tensor, how: Resample | None) -> Tensor:
    """Twice the size with each pixel four times, or half of it with the mean of four: the filter [1, 1]."""
    if how == "up":
        return F.interpolate(x_BCHW, scale_factor=2.0, mode="nearest")
    return F.avg_pool2d(x_BCHW, 2) if how == "down" else x_BCHW


class Resampling(nn.Module):
    """A change of size alone. The files keep its filter, which is always the one that `resample` has built in."""

    def __init__(self, how: Resample) -> None:
        super().__init__()
        self.how = how
        self.register_buffer("resample_filter", torch.full((1, 1, 2, 2), 0.25))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return resample(x_BCHW, self.how)


class Conv(nn.Conv2d):
    """A convolution that keeps the size, after a change of size where one is asked for."""

    def __init__(self, inputs: int, outputs: int, kernel: int, how: Resample | None = None) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        self.how = how
        if how:
            self.register_buffer("resample_filter", torch.full((1, 1, 2, 2), 0.25))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return super().forward(resample(x_BCHW, self.how))


class Block(nn.Module):
    """Residual block with the condition between its two convolutions, and self-attention at its end on request."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        condition: int,
        style: BlockStyle,
        how: Resample | None = None,
        *,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.inputs, self.outputs, self.style = inputs, outputs, style
        self.norm0 = group_norm(inputs, style.eps)
        self.conv0 = Conv(inputs, outputs, 3, how)
        self.affine = nn.Linear(condition, 2 * outputs if style.adaptive else outputs)
        self.norm1 = group_norm(outputs, style.eps)
        self.conv1 = Conv(outputs, outputs, 3)
        self.skip: nn.Module | None = None
        if inputs != outputs or (how and style.projected_resampling):
            self.skip = Conv(inputs, outputs, 1, how)
        elif how:
            self.skip = Resampling(how)
        self.heads = 0
        if attention:
            self.heads = outputs // style.head_width if style.head_width else 1
            self.norm2 = group_norm(outputs, style.eps)
            self.qkv = Conv(outputs, 3 * outputs, 1)
            self.proj = Conv(outputs, outputs, 1)

    def forward(self, x_BCHW: Tensor, condition_BD: Tensor) -> Tensor:
        y = self.conv0(F.silu(self.norm0(x_BCHW)))
        condition = self.affine(condition_BD)[:, :, None, None].to(y.dtype)
        if self.style.adaptive:
            scale, shift = condition.chunk(2, dim=1)
            y = torch.addcmul(shift, self.norm1(y), scale + 1)
        else:
            y = self.norm1(y + condition)
        y = self.conv1(F.silu(y))
        x = x_BCHW if self.skip is None else self.skip(x_BCHW)
        x = (x + y) * self.style.residual_scale
        return (x + self._attend(x)) * self.style.residual_scale if self.heads else x

    def _attend(self, x_BCHW: Tensor) -> Tensor:
        B, C, H, W = x_BCHW.shape
        # a head's channels lie together, and each of them as its query, key and value
        qkv = self.qkv(self.norm2(x_BCHW)).permute(0, 2, 3, 1).reshape(B, H * W, self.heads, C // self.heads, 3)
        q, k, v = qkv.permute(4, 0, 2, 1, 3).contiguous().unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)  # scales by the root of a head's channels, as the files expect
        return self.proj(y.transpose(1, 2).reshape(B, H, W, C).permute(0, 3, 1, 2))


class EDMUNet(nn.Module):
    """Encoder and decoder; a subclass adds how the condition is made and how the last map becomes an image."""

    def __init__(self, config: EDMUNetConfig, style: BlockStyle, stem: int, *, attention_throughout: bool) -> None:
        """`stem`: first channels; `attention_throughout`: attend in every decoder block, else in a level's last."""
        super().__init__()
        self.config = config
        self.classes = config.classes
        condition = 4 * config.width
        widths = [config.width * multiplier for multiplier in config.multipliers]
        sizes = [config.size >> level for level in range(len(widths))]
        attends = [size in config.attention for size in sizes]

        self.enc = nn.ModuleDict()
        skips = [stem]
        self.enc[f"{sizes[0]}x{sizes[0]}_conv"] = Conv(3, stem, 3)
        for level, (size, width) in enumerate(zip(sizes, widths, strict=True)):
            if level:
                self.enc[f"{size}x{size}_down"] = Block(skips[-1], skips[-1], condition, style, "down")
                skips.append(skips[-1])
            for index in range(config.blocks):
                block = Block(skips[-1], width, condition, style, attention=attends[level])
                self.enc[f"{size}x{size}_block{index}"] = block
                skips.append(width)

        self.dec = nn.ModuleDict()
        now = skips[-1]
        for level, (size, width) in reversed(list(enumerate(zip(sizes, widths, strict=True)))):
            if level == len(widths) - 1:
                self.dec[f"{size}x{size}_in0"] = Block(now, now, condition, style, attention=True)
                self.dec[f"{size}x{size}_in1"] = Block(now, now, condition, style)
            else:
                self.dec[f"{size}x{size}_up"] = Block(now, now, condition, style, "up")
            for index in range(config.blocks + 1):
                attention = attends[level] and (attention_throughout or index == config.blocks)
                block = Block(now + skips.pop(), width, condition, style, attention=attention)
                self.dec[f"{size}x{size}_block{index}"] = block
                now = width

    def features(self, x_B3HW: Tensor, condition_BD: Tensor) -> Tensor:
        """The last map of the decoder, (B, width x multiplier, H, W)."""
        x, skips = x_B3HW, []
        for block in self.enc.values():
            x = block(x, condition_BD) if isinstance(block, Block) else block(x)
            skips.append(x)
        for block in self.dec.values():
            if isinstance(block, Block):
                if x.shape[1] < block.inputs:
                    x = torch.cat([x, skips.pop()], dim=1)
                x = block(x, condition_BD)
        return x

    def one_hot(self, labels_B: Tensor) -> Tensor:
        """fp32 (B, classes); zeros for the label `classes`, which stands for none."""
        return F.one_hot(labels_B, self.config.classes + 1)[:, :-1].float()


def waves(noise_B: Tensor, count: int, last: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of `noise_B`, ln(sigma) / 4, fp32 (B, count) each: frequencies from 1 to 1/10,000 at `last`."""
    powers = torch.arange(count, device=noise_B.device, dtype=torch.float32) / last
    angles = noise_B.float()[:, None] * torch.exp(-math.log(10_000) * powers)
    return angles.cos(), angles.sin()


_SONG = BlockStyle(adaptive=False, residual_scale=math.sqrt(0.5), eps=1e-6, head_width=None, projected_resampling=True)


def cifar_config(classes: int) -> EDMUNetConfig:
    """The class-conditional network of CIFAR-10 and CIFAR-100, of the kind that files call `cond-vp`."""
    return EDMUNetConfig(32, classes, width=128, multipliers=(2, 2, 2), blocks=4, attention=(16,), augment=9)


class SongUNet(EDMUNet):
    """DDPM++ (arXiv 2011.13456) as EDM trains it at 32 x 32 pixels, 55.7M parameters: the F of the denoiser."""

    def __init__(self, config: EDMUNetConfig) -> None:
        super().__init__(config, _SONG, config.width, attention_throughout=False)
        condition = 4 * config.width
        self.map_label = nn.Linear(config.classes, config.width)
        self.map_augment = nn.Linear(config.augment, config.width, bias=False) if config.augment else None
        self.map_layer0 = nn.Linear(config.width, condition)
        self.map_layer1 = nn.Linear(condition, condition)
        last = config.width * config.multipliers[0]
        self.dec[f"{config.size}x{config.size}_aux_norm"] = group_norm(last, _SONG.eps)
        self.dec[f"{config.size}x{config.size}_aux_conv"] = Conv(last, 3, 3)

    def forward(self, x_B3HW: Tensor, noise_B: Tensor, labels_B: Tensor, augment_BA: Tensor | None = None) -> Tensor:
        """F(x; noise level, class, augmentation); see `UNet.forward`."""
        half = self.config.width // 2
        cosines, sines = waves(noise_B, half, last=half - 1)
        embedding = torch.cat([sines, cosines], dim=1)
        embedding = embedding + self.map_label(self.one_hot(labels_B) * math.sqrt(self.config.classes))
        if self.map_augment is not None and augment_BA is not None:
            embedding = embedding + self.map_augment(augment_BA)
        condition_BD = F.silu(self.map_layer1(F.silu(self.map_layer0(embedding))))
        norm, conv = list(self.dec.values())[-2:]
        return conv(F.silu(norm(self.features(x_B3HW, condition_BD))))


_DHARIWAL = BlockStyle(adaptive=True, residual_scale=1.0, eps=1e-5, head_width=64, projected_resampling=False)


def imagenet_config() -> EDMUNetConfig:
    """The class-conditional network of ImageNet at 64 x 64 pixels."""
    return EDMUNetConfig(64, 1000, width=192, multipliers=(1, 2, 3, 4), blocks=3, attention=(32, 16, 8))


class DhariwalUNet(EDMUNet):
    """ADM (arXiv 2105.05233) as EDM trains it at 64 x 64 pixels, 295.9M parameters: the F of the denoiser."""

    def __init__(self, config: EDMUNetConfig) -> None:
        first = config.width * config.multipliers[0]
        super().__init__(config, _DHARIWAL, first, attention_throughout=True)
        condition = 4 * config.width
        self.map_augment = nn.Linear(config.augment, config.width, bias=False) if config.augment else None
        self.map_layer0 = nn.Linear(config.width, condition)
        self.map_layer1 = nn.Linear(condition, condition)
        self.map_label = nn.Linear(config.classes, condition, bias=False)
        self.out_norm = group_norm(first, _DHARIWAL.eps)
        self.out_conv = Conv(first, 3, 3)

    def forward(self, x_B3HW: Tensor, noise_B: Tensor, labels_B: Tensor, augment_BA: Tensor | None = None) -> Tensor:
        """F(x; noise level, class, augmentation); see `SongUNet.forward`."""
        half = self.config.width // 2
        embedding = torch.cat(waves(noise_B, half, last=half), dim=1)
        if self.map_augment is not None and augment_BA is not None:
            embedding = embedding + self.map_augment(augment_BA)
        condition_BD = self.map_layer1(F.silu(self.map_layer0(embedding)))
        condition_BD = F.silu(condition_BD + self.map_label(self.one_hot(labels_B)))
        return self.out_conv(F.silu(self.out_norm(self.features(x_B3HW, condition_BD))))
