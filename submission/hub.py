"""Where pretrained models come from: a local folder, or a hub of models, fetched whole before the clock starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Model:
    """A model of many files, as `save_pretrained` of diffusers lays it out.

    Attributes:
        repository: its name on the hub, `owner/name`.
        files: patterns of the files to fetch; nothing else is.
        needed: files without which it cannot be loaded, relative to its folder; `a|b` where either will do.
    """

    repository: str
    files: tuple[str, ...]
    needed: tuple[str, ...]


def find_model(model: Model, source: str | None, *, fetch: bool = True) -> Path:
    """The folder of a pretrained model.

    Args:
        model: the default and what has to be there.
        source: what the user gave as `--weights`: a folder, or another repository of the same form; None for `model`'s.
        fetch: whether to fetch from the hub what is not on this machine yet, with progress on standard error.

    Raises:
        ValueError: it is neither here nor to be had, or files are missing; the sentence says what to do.
    """
    if source is not None and (Path(source).is_dir() or not _REPOSITORY.fullmatch(source)):
        folder = Path(source)
        if not folder.is_dir():
            raise ValueError(f"there is no folder {source}; give a model's folder or its hub name as --weights")
    else:
        folder = _snapshot(source or model.repository, model.files, fetch)
    if missing := missing_files(folder, model.needed):
        raise ValueError(
            f"{folder} holds no {missing[0].replace('|', ' or ')}; copy the model of {model.repository} whole"
        )
    return folder


def missing_files(folder: Path, needed: Sequence[str]) -> list[str]:
    """Those of `needed` of which nothing is in `folder`."""
    return [entry for entry in needed if not any((folder / name).is_file() for name in entry.split("|"))]


def _snapshot(repository: str, files: Sequence[str], fetch: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, allow_patterns=list(files), local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    if not fetch:
        raise ValueError(f"{repository} is not on this machine yet; a run fetches it, or give its folder as --weights")
    try:
        return Path(snapshot_download(repository, allow_patterns=list(files)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"{repository} cannot be fetched ({reason}); copy it from a machine with a network and give its folder as"
            " --weights"
        ) from None
