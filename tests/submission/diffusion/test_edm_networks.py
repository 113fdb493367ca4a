"""The networks of EDM: the names and sizes of the published files, and the numbers of diffusers' own layers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.models.edm import dhariwal, song
from submission.diffusion.networks.edm_unet import (
    _SONG,
    Block,
    DhariwalUNet,
    EDMUNetConfig,
    SongUNet,
    cifar_config,
    imagenet_config,
    waves,
)
from submission.diffusion.networks.unet import count_parameters


def test_parameters_are_as_many_as_published() -> None:
    """CIFAR-10 conditional 55.7M, ImageNet 295.9M (arXiv 2206.00364, table 7 and its code's listing)."""
    with torch.device("meta"):
        assert count_parameters(SongUNet(cifar_config(10))) == 55_735_299
        assert count_parameters(SongUNet(cifar_config(100))) == 55_735_299 + 90 * 128
        assert count_parameters(DhariwalUNet(imagenet_config())) == 295_899_267


def test_tensors_have_the_names_of_the_files() -> None:
    with torch.device("meta"):
        cifar = {name: tuple(t.shape) for name, t in SongUNet(cifar_config(100)).state_dict().items()}
        imagenet = {name: tuple(t.shape) for name, t in DhariwalUNet(imagenet_config()).state_dict().items()}
    for name, shape in {
        "map_label.weight": (128, 100),
        "map_augment.weight": (128, 9),
        "map_layer0.weight": (512, 128),
        "enc.32x32_conv.weight": (128, 3, 3, 3),
        "enc.32x32_block0.skip.weight": (256, 128, 1, 1),
        "enc.16x16_down.conv0.resample_filter": (1, 1, 2, 2),
        "enc.16x16_down.skip.weight": (256, 256, 1, 1),
        "enc.16x16_block3.qkv.weight": (768, 256, 1, 1),
        "dec.8x8_in0.proj.bias": (256,),
        "dec.16x16_block4.norm2.weight": (256,),
        "dec.32x32_up.affine.weight": (256, 512),
        "dec.32x32_block4.conv0.weight": (256, 384, 3, 3),
        "dec.32x32_aux_norm.bias": (256,),
        "dec.32x32_aux_conv.weight": (3, 256, 3, 3),
    }.items():
        assert cifar[name] == shape, name
    assert "dec.16x16_block3.qkv.weight" not in cifar  # the last of the decoder's level alone attends
    for name, shape in {
        "map_label.weight": (768, 1000),
        "enc.64x64_conv.weight": (192, 3, 3, 3),
        "enc.64x64_block0.affine.weight": (384, 768),
        "enc.32x32_down.skip.resample_filter": (1, 1, 2, 2),
        "enc.32x32_block0.qkv.weight": (1152, 384, 1, 1),
        "dec.8x8_block0.conv0.weight": (768, 1536, 3, 3),
        "dec.32x32_block3.norm2.weight": (384,),
        "out_conv.weight": (3, 192, 3, 3),
    }.items():
        assert imagenet[name] == shape, name
    assert "enc.32x32_down.skip.weight" not in imagenet and "map_label.bias" not in imagenet
    assert "enc.64x64_block0.qkv.weight" not in imagenet


def test_waves_run_from_one_to_a_ten_thousandth() -> None:
    noise = torch.tensor([0.3, -1.2])
    cosines, sines = waves(noise, 4, last=3)
    assert torch.allclose(sines[:, 0], noise.sin())
    assert torch.allclose(sines[:, 3], (noise / 10_000).sin())
    assert torch.allclose(cosines**2 + sines**2, torch.ones(2, 4))
    assert torch.allclose(waves(noise, 4, last=4)[1][:, 3], (noise / 1000).sin())


@pytest.mark.parametrize("make", [song, dhariwal])
def test_the_null_label_is_a_label_of_zeros(make: Any) -> None:
    network = make()
    x, noise = torch.randn(1, 3, 16, 16), torch.zeros(1)
    with torch.inference_mode():
        answers = [network(x, noise, torch.tensor([label])) for label in range(11)]
        nn.init.zeros_(network.map_label.weight)
        assert torch.allclose(network(x, noise, torch.tensor([3])), answers[10], atol=1e-5)
    assert all((a - b).abs().max() > 1e-3 for i, a in enumerate(answers) for b in answers[:i])


def copy(target: Any, source: Any) -> None:
    """Weight and bias of a layer, whatever form of a 1x1 convolution the two have."""
    target.weight.data.copy_(source.weight.detach().view_as(target.weight))
    if target.bias is not None:
        target.bias.data.copy_(source.bias.detach())


def copy_attention(target: Any, block: Block) -> None:
    """A head's channels lie together, each as query, key and value; diffusers has three layers."""
    copy(target.group_norm, block.norm2)
    for place, layer in enumerate((target.to_q, target.to_k, target.to_v)):
        layer.weight.data.copy_(block.qkv.weight.detach().flatten(1)[place::3])
        layer.bias.data.copy_(block.qkv.bias.detach()[place::3])
    copy(target.to_out[0], block.proj)


def copy_residual(target: Any, block: Block) -> None:
    for theirs, ours in (
        (target.norm1, block.norm0), (target.conv1, block.conv0), (target.time_emb_proj, block.affine),
        (target.norm2, block.norm1), (target.conv2, block.conv1),
    ):  # fmt: skip
        copy(theirs, ours)
    if target.conv_shortcut is not None:
        copy(target.conv_shortcut, block.skip)


@pytest.mark.slow
def test_the_imagenet_network_is_diffusers_of_the_same_architecture() -> None:
    """Attention with several heads, adaptive normalisation, resampling and skips, all at once."""
    from diffusers import UNet2DModel

    config = EDMUNetConfig(16, 7, width=128, multipliers=(1, 2, 2), blocks=1, attention=(8, 4))
    ours = DhariwalUNet(config).eval()
    theirs: Any = UNet2DModel(
        sample_size=16, layers_per_block=1, block_out_channels=(128, 256, 256), num_class_embeds=7,
        down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"), attention_head_dim=64,
        resnet_time_scale_shift="scale_shift", attn_norm_num_groups=32, upsample_type="resnet",
        downsample_type="resnet",
    ).eval()  # fmt: skip
    for module in ours.modules():
        if isinstance(module, nn.GroupNorm):
            nn.init.normal_(module.weight, 1, 0.3)
            nn.init.normal_(module.bias, 0, 0.3)

    copy(theirs.time_embedding.linear_1, ours.map_layer0)
    copy(theirs.time_embedding.linear_2, ours.map_layer1)
    theirs.class_embedding.weight.data.copy_(ours.map_label.weight.detach().t())
    copy(theirs.conv_in, ours.enc["16x16_conv"])
    copy(theirs.conv_norm_out, ours.out_norm)
    copy(theirs.conv_out, ours.out_conv)
    for level, size in enumerate((16, 8, 4)):
        down, up = theirs.down_blocks[level], theirs.up_blocks[2 - level]
        attentions = [(down, ours.enc[f"{size}x{size}_block0"], 0)]
        copy_residual(down.resnets[0], ours.enc[f"{size}x{size}_block0"])
        for index in range(2):
            copy_residual(up.resnets[index], ours.dec[f"{size}x{size}_block{index}"])
            attentions.append((up, ours.dec[f"{size}x{size}_block{index}"], index))
        if size in config.attention:
            for place, block, index in attentions:
                copy_attention(place.attentions[index], block)
        if size > 4:
            copy_residual(down.downsamplers[0], ours.enc[f"{size // 2}x{size // 2}_down"])
            copy_residual(theirs.up_blocks[1 - level].upsamplers[0], ours.dec[f"{size}x{size}_up"])
    copy_residual(theirs.mid_block.resnets[0], ours.dec["4x4_in0"])
    copy_attention(theirs.mid_block.attentions[0], ours.dec["4x4_in0"])
    copy_residual(theirs.mid_block.resnets[1], ours.dec["4x4_in1"])

    torch.manual_seed(1)
    x, noise, labels = torch.randn(3, 3, 16, 16), torch.tensor([-1.5, 0.0, 1.1]), torch.tensor([0, 6, 3])
    with torch.inference_mode():
        answer = ours(x, noise, labels)
        assert answer.std() > 0.05
        assert torch.allclose(answer, theirs(x, noise, labels).sample, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("how", [None, "up", "down"])
def test_a_block_of_the_cifar_network_is_diffusers_with_its_factors(how: Any) -> None:
    """Their residual block and attention, each sum over the square root of two; normalised to eps 1e-6."""
    from diffusers.models.attention_processor import Attention
    from diffusers.models.resnet import ResnetBlock2D

    torch.manual_seed(0)
    outputs = 128 if how else 256
    ours = Block(128, outputs, 64, _SONG, how, attention=True).eval()
    theirs: Any = ResnetBlock2D(
        in_channels=128, out_channels=outputs, temb_channels=64, groups=32, eps=1e-6, output_scale_factor=math.sqrt(2),
        use_in_shortcut=True, up=how == "up", down=how == "down",
    ).eval()  # fmt: skip
    attention: Any = Attention(
        outputs, heads=1, dim_head=outputs, rescale_output_factor=math.sqrt(2), eps=1e-6, norm_num_groups=32,
        residual_connection=True, bias=True,
    ).eval()  # fmt: skip
    copy_residual(theirs, ours)
    copy_attention(attention, ours)
    x, condition = torch.randn(2, 128, 8, 8), torch.randn(2, 64)
    with torch.inference_mode():
        # their block applies SiLU to the condition itself, EDM's network before its blocks
        expected = attention(theirs(x, condition))
        assert torch.allclose(ours(x, F.silu(condition)), expected, atol=1e-5)


def test_the_condition_of_the_cifar_network() -> None:
    """Sines before cosines, the label scaled by the root of the classes, SiLU after both layers."""
    network = song()
    seen: list[Tensor] = []
    network.enc["16x16_block0"].affine.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    noise, label, augment = torch.tensor([0.7]), 3, torch.randn(1, 9)
    with torch.inference_mode():
        network(torch.zeros(1, 3, 16, 16), noise, torch.tensor([label]), augment)
        frequencies = 10_000.0 ** (-torch.arange(8) / 7)
        told = torch.cat([(0.7 * frequencies).sin(), (0.7 * frequencies).cos()])
        told = told + math.sqrt(10) * network.map_label.weight[:, label] + network.map_label.bias
        told = told + network.map_augment.weight @ augment[0]  # type: ignore[union-attr]
        expected = F.silu(network.map_layer1(F.silu(network.map_layer0(told))))
    assert torch.allclose(seen[0][0], expected, atol=1e-6)
