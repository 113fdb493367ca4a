"""What the generators on pretrained models by others share: where the model is, and how a part of it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from evaluation.base.challenge import Challenge
from submission.contract.generator import GeneratorBase
from submission.contract.hub import Model, find_model

if TYPE_CHECKING:
    import torch

Part = TypeVar("Part")


class Pretrained(GeneratorBase):
    """A generator whose weights are a model's folder. A subclass names `model`."""

    model: ClassVar[Model]

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path:
        return find_model(cls.model, source)

    @classmethod
    def check_weights(cls, challenge: Challenge) -> None:
        find_model(cls.model, None, fetch=False)


def load_part(kind: type[Part], folder: Path, subfolder: str, dtype: torch.dtype, device: str) -> Part:
    """One network of a model's folder, in `dtype` on `device`, for inference; of fp16 copies where there is only one.

    Raises ValueError if it is damaged or no `kind`, a class of diffusers or transformers with `from_pretrained`.
    """
    loader: Any = kind
    place = folder / subfolder
    try:
        network, found = loader.from_pretrained(
            folder,
            subfolder=subfolder,
            dtype=dtype,
            variant=_variant(place, dtype),
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"{place} is damaged or holds no {kind.__name__} ({reason}); copy the model again") from None
    if missing := sorted(found["missing_keys"]):  # they would stay random numbers
        raise ValueError(f"{place} lacks the weights {missing[0]}; it is no {kind.__name__}, or not a whole one")
    return network.to(device).eval().requires_grad_(False)


def _variant(place: Path, dtype: torch.dtype) -> str | None:
    """`fp16` for half-precision copies: where there are no others, or where `dtype` can hold no more than they do."""
    names = [path.name for path in place.iterdir() if path.suffix in (".safetensors", ".bin")]
    half = [name for name in names if ".fp16." in name]
    return "fp16" if half and (dtype.itemsize == 2 or len(half) == len(names)) else None
