"""Checkpoint of a training: one file, replaced as a whole, with all that the next step depends on."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from evaluation.base.files import written_whole


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, and lists and dicts of them) to `path`, atomically."""
    with written_whole(path) as part:
        torch.save(state, part)


def load_checkpoint(path: Path, device: str) -> dict[str, Any]:
    """The state in `path`, tensors on `device`; no code in it is run. Raises ValueError if it is missing or damaged."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"there is no checkpoint {path} to resume; leave out --resume to begin anew") from None
    except (RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError, OSError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} is damaged or no checkpoint ({first_line}); delete it to begin anew") from None
    return state
