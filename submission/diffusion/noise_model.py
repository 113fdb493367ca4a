"""Any diffusion model behind one interface, for selection and prototypes, and which one a weights folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from evaluation.base.challenge import Challenge
from submission.contract.generator import get_generator
from submission.contract.hub import find_model
from submission.contract.weights import find_weights_file, load_weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# what generators on such a model say of its weights
PRETRAINED = "none with weights of `native`; otherwise the model given as --weights"
WEIGHTS_FROM = "those of `native`, or a diffusion model's folder given as --weights"


class NoiseModel(Protocol):
    """Predicts the noise in z_t = sqrt(gamma_t) z_0 + sqrt(1 - gamma_t) noise, knowing the class or not.

    Attributes:
        size: height and width of the images that it takes and gives, pixels.
        gammas_T: float32 (T,), falling from nearly 1 to nearly 0; elsewhere the cumulative product of the alphas.
        null_label: the label that stands for no class.
        network: what predicts, for hooks.
        feature_block: block of `network` whose output describes an image; (B, D, H, W), or (B, N, D) of tokens.
    """

    size: int
    gammas_T: Tensor
    null_label: int
    network: nn.Module
    feature_block: str

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """uint8 (B, 3, size, size) images to what the model works on, float32: latents, or pixels in [-1, 1]."""

    def decode(self, z_BCHW: Tensor) -> Tensor:
        """The way back: uint8 (B, 3, size, size)."""

    def predict(self, z_BCHW: Tensor, timesteps_B: Tensor, labels_B: Tensor) -> Tensor:
        """The noise in `z_BCHW`, float32; timesteps int64 (B,) in [0, T), labels int64 (B,) or `null_label`."""


def find_noise_model(challenge: Challenge, source: str | None) -> Path:
    """The weights of a diffusion model, found and checked before the clock starts.

    `source` is `--weights`: a file of `native`, a folder with one, a model's folder as diffusers saves it, or the hub
    name of a text-conditional one; None for the shipped `native`. Raises ValueError if they are missing or do not fit.
    """
    if source is None or Path(source).is_file() or (Path(source) / f"native-{challenge.name}.safetensors").is_file():
        path = find_weights_file("native", challenge, source)
        load_weights(path, "native", challenge)
        return path
    if Path(source).is_dir() and kind_of(Path(source)) == "dit":
        found = get_generator("dit").find_weights(challenge, source)
        assert found is not None, "a DiT has weights"
        return found
    from submission.diffusion.text_model import MODEL

    return find_model(MODEL, source)


def load_noise_model(path: Path, challenge: Challenge, device: str, dtype: torch.dtype) -> NoiseModel:
    """The model at `path`, as `find_noise_model` gave it. Raises ValueError where it does not fit `challenge`."""
    kind = kind_of(path)
    if kind == "native":
        from submission.diffusion import pixel_model

        return pixel_model.load(path, challenge, device, dtype)
    if kind == "dit":
        from submission.diffusion.dit import DiT

        return DiT.load(path, challenge, device, dtype)
    from submission.diffusion import text_model

    return text_model.load(path, challenge, device, dtype)


def kind_of(path: Path) -> str:
    """`native`, `dit` or `text`. Raises ValueError for a folder that holds none of them."""
    if path.is_file():
        return "native"
    if (path / "transformer").is_dir():
        return "dit"
    if (path / "unet").is_dir():
        return "text"
    raise ValueError(
        f"{path} holds no diffusion model: give a weights file of `native`, or a folder with unet/ and text_encoder/"
        " or with transformer/"
    )
