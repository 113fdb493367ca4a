"""DiTs with random weights, in folders laid out as the published one is: a tiny one, and one that trains on a CPU."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from submission.diffusion.dit import Autoencoder, Transformer

# As on the hub: written before there was a class of DiT's own, and before a spacing of timesteps could be named.
SCHEDULE = {
    "_class_name": "DDIMScheduler",
    "_diffusers_version": "0.12.0.dev0",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "trained_betas": None,
}
SIZE, LATENT = 16, (4, 8, 8)


def write_dit(
    folder: Path, classes: int = 1000, names: Sequence[str] = (), learns_variance: bool = True, seed: int = 0
) -> Path:
    """A DiT whose embeddings of time and label are the same in each block, as the published one has them.

    Args:
        names: of the classes in label order, for model_index.json.
        learns_variance: whether it has twice as many output channels.
    """
    from diffusers import AutoencoderKL, DiTTransformer2DModel

    torch.manual_seed(seed)
    transformer = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=LATENT[0],
        out_channels=LATENT[0] * (2 if learns_variance else 1),
        num_layers=2,
        sample_size=LATENT[1],
        num_embeds_ada_norm=classes,
    )
    first, second = (block.norm1.emb for block in transformer.transformer_blocks)
    with torch.no_grad():
        first.class_embedder.embedding_table.weight.mul_(3)  # so that classes differ
        transformer.proj_out_2.bias.normal_(0, 0.1)
    second.load_state_dict(first.state_dict())
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        layers_per_block=1,
        latent_channels=LATENT[0],
        norm_num_groups=4,
        sample_size=SIZE,
        scaling_factor=0.18215,
    )
    transformer.eval().save_pretrained(folder / "transformer")
    vae.eval().save_pretrained(folder / "vae")
    lay_out_dit(folder, names)
    return folder


def lay_out_dit(folder: Path, names: Sequence[str] = ()) -> None:
    """What surrounds the networks: scheduler and index."""
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULE)
    index: dict[str, object] = {
        "_class_name": "DiTPipeline",
        "_diffusers_version": "0.12.0.dev0",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "transformer": ["diffusers", "DiTTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    if names:
        index["id2label"] = {str(label): name for label, name in enumerate(names)}
    write_json(folder / "model_index.json", index)


def write_small_dit(
    folder: Path, challenge: Challenge, images: ImageSet, seed: int, layers: int, width: int, autoencoder_steps: int
) -> float:
    """Write a DiT with random weights and an autoencoder that was trained on `images` for `autoencoder_steps` steps.

    The autoencoder halves the resolution and learns the squared error alone; its scaling factor makes latents of unit
    variance. The DiT begins as the paper's does, each block as the identity and its output zero.

    Returns:
        The autoencoder's last error, mean of the squares in [-1, 1], over its last tenth of steps.
    """
    from diffusers import AutoencoderKL, DiTTransformer2DModel

    torch.manual_seed(seed)
    autoencoder: Autoencoder = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(16, 32),
        layers_per_block=1,
        latent_channels=LATENT[0],
        norm_num_groups=8,
        sample_size=challenge.size,
    )
    pixels_NCHW = torch.from_numpy(images.images)
    optimiser = torch.optim.Adam(autoencoder.parameters(), lr=2e-3)
    errors = []
    for _ in range(autoencoder_steps):
        x_BCHW = pixels_NCHW[torch.randint(len(pixels_NCHW), (32,))].float() / 127.5 - 1
        z_BCHW = autoencoder.encode(x_BCHW).latent_dist.mean
        error = F.mse_loss(autoencoder.decode(z_BCHW).sample, x_BCHW)
        error.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        errors.append(error.detach())
    autoencoder.eval()
    with torch.no_grad():
        some_BCHW = pixels_NCHW[torch.randint(len(pixels_NCHW), (256,))].float() / 127.5 - 1
        std = float(autoencoder.encode(some_BCHW).latent_dist.mean.std())
    autoencoder.register_to_config(scaling_factor=1 / std)

    transformer: Transformer = DiTTransformer2DModel(
        num_attention_heads=width // 32,
        attention_head_dim=32,
        in_channels=LATENT[0],
        out_channels=2 * LATENT[0],
        num_layers=layers,
        sample_size=challenge.size // 2,
        num_embeds_ada_norm=challenge.classes,
    )
    blocks = transformer.transformer_blocks
    with torch.no_grad():
        for block in blocks:
            block.norm1.emb.load_state_dict(blocks[0].norm1.emb.state_dict())
            for parameter in block.norm1.linear.parameters():
                parameter.zero_()
        for parameter in transformer.proj_out_2.parameters():
            parameter.zero_()
    transformer.save_pretrained(folder / "transformer")
    autoencoder.save_pretrained(folder / "vae")
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULE)
    return float(torch.stack(errors[-max(1, autoencoder_steps // 10) :]).mean())


def write_json(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
