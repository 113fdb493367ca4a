"""Which device to compute on."""

from __future__ import annotations


def resolve_device(name: str) -> str:
    """`auto` as `cuda` where there is a usable card, else `cpu`.

    Raises:
        ValueError: a card is asked for where there is none, or the name is none of these.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu" and not name.startswith("cuda"):
        raise ValueError(f"--device takes auto, cpu or cuda, not {name!r}")
    if name != "cpu" and not torch.cuda.is_available():
        raise ValueError("there is no CUDA device here; leave out --device or give --device cpu")
    return name
