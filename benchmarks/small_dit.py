"""A DiT and an autoencoder small enough to be trained on one core, in the layout of the published ones."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from submission.diffusion.dit import Autoencoder, Transformer

LATENT_CHANNELS = 4
SCHEDULE = {
    "_class_name": "DDIMScheduler",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
}


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
        latent_channels=LATENT_CHANNELS,
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
        spread = float(autoencoder.encode(some_BCHW).latent_dist.mean.std())
    autoencoder.register_to_config(scaling_factor=1 / spread)

    transformer: Transformer = DiTTransformer2DModel(
        num_attention_heads=width // 32,
        attention_head_dim=32,
        in_channels=LATENT_CHANNELS,
        out_channels=2 * LATENT_CHANNELS,
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
    (folder / "scheduler").mkdir(parents=True, exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULE), encoding="utf-8")
    return float(torch.stack(errors[-max(1, autoencoder_steps // 10) :]).mean())
