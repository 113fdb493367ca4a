"""Where pretrained models come from: a local folder, or a hub of models, fetched whole before the clock starts."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from evaluation.base.container import mount_cache, tell_if_lost

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Model:
    """A model of many files, as `save_pretrained` of diffusers lays it out.

    Attributes:
        repository: its name on the hub, `owner/name`.
        files: patterns of the files to fetch; nothing else is.
        needed: files without which it cannot be loaded, relative to its folder; `a|b` where either will do.
        option: what the user gives another source of it with.
    """

    repository: str
    files: tuple[str, ...]
    needed: tuple[str, ...]
    option: str = "--weights"


def find_model(model: Model, source: str | None, *, fetch: bool = True) -> Path:
    """The folder of a pretrained model.

    Args:
        source: `--weights`: a folder, or another repository of the same form; None for `model`'s own.
        fetch: whether to fetch from the hub what is not on this machine yet, with progress on standard error.

    Raises ValueError if it cannot be had or files are missing; the sentence says what to do.
    """
    if source is not None and (Path(source).is_dir() or not _REPOSITORY.fullmatch(source)):
        folder = Path(source)
        if not folder.is_dir():
            raise ValueError(f"there is no folder {source}; give a model's folder or its hub name as {model.option}")
    else:
        folder = _snapshot(replace(model, repository=source or model.repository), fetch)
    if missing := missing_files(folder, model.needed):
        raise ValueError(
            f"{folder} holds no {missing[0].replace('|', ' or ')}; copy the model of {model.repository} whole"
        )
    for name in files_of(folder, model.needed):
        if not is_whole(folder / name):
            raise ValueError(
                f"{folder / name} is damaged or half a download; copy the model of {model.repository} again"
            )
    return folder


def missing_files(folder: Path, needed: Sequence[str]) -> list[str]:
    """Those of `needed` of which nothing is in `folder`."""
    return [entry for entry in needed if not files_of(folder, [entry])]


def files_of(folder: Path, needed: Sequence[str]) -> list[str]:
    """Those of `needed`, in all their forms, that are in `folder`."""
    return [name for entry in needed for name in entry.split("|") if (folder / name).is_file()]


def _snapshot(model: Model, fetch: bool) -> Path:
    from huggingface_hub import constants, snapshot_download

    with suppress(Exception):  # not here, or a cache that cannot be read
        folder = Path(snapshot_download(model.repository, allow_patterns=list(model.files), local_files_only=True))
        if not fetch or not missing_files(folder, model.needed):
            return folder  # else a download was interrupted, and goes on
    if not fetch:
        raise ValueError(
            f"{model.repository} is not on this machine yet; a run fetches it, or give its folder as {model.option}"
        )
    tell_if_lost(Path(constants.HF_HUB_CACHE), "The model", mount_cache())
    try:
        return Path(snapshot_download(model.repository, allow_patterns=list(model.files)))
    except Exception as error:  # whatever a network, a proxy or a mirror can do
        raise ValueError(
            f"{model.repository} cannot be fetched ({_reason(error)}); copy it from a machine with a network and give"
            f" its folder as {model.option}"
        ) from None


def _reason(error: Exception) -> str:
    """Why a download failed, on one line."""
    if isinstance(error, ValueError | TypeError | AttributeError | LookupError) and not isinstance(error, OSError):
        return f"what answers there is no hub of models: {type(error).__name__}"
    return str(error).strip().split("\n")[0] or type(error).__name__


def is_whole(path: Path) -> bool:
    """Whether weights have their end, and JSON is JSON; no tensor is read, and other files are not looked into."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="np"):
                return True
        elif path.suffix == ".json":
            json.loads(path.read_bytes())
        return path.suffix != ".bin" or is_zipfile(path)
    except (OSError, ValueError, SafetensorError):
        return False


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a model. Raises ValueError if it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}); copy the model again") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged (no JSON object); copy the model again")
    return content
