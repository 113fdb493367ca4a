"""Fetch a publisher's archive, check it, unpack it: whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

_TIMEOUT_S = 20.0  # without a byte
_BLOCK = 2**20


@dataclass(frozen=True)
class Archive:
    """A data set's archive: where it lies, its MD5, the folder it unpacks to."""

    url: str
    md5: str
    folder: str


ARCHIVES = {
    "cifar100": Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85",
        "cifar-100-python",
    ),
    "tiny-imagenet": Archive(
        "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        "90528d7ca1a48142e341f4ef8d21d0de",
        "tiny-imagenet-200",
    ),
}


def show_progress(done: int, total: int | None) -> None:
    """Progress on standard error, on one line of a terminal; nothing where there is no terminal."""
    if sys.stderr.isatty():
        of = f" of {total / 2**20:.0f}" if total else ""
        sys.stderr.write(f"\r{done / 2**20:.0f}{of} MB")
        sys.stderr.write("\n" if done == total else "")
        sys.stderr.flush()


def download(archive: Archive, root: Path, progress: Callable[[int, int | None], None] = show_progress) -> Path:
    """Fetch `archive` and unpack it as `root / archive.folder`, which appears only when it is whole.

    Args:
        progress: called with the bytes done and the bytes expected, None where the server does not say.

    Returns:
        `root / archive.folder`.

    Raises:
        ConnectionError: the address cannot be reached or the transfer broke.
        ValueError: what came is not the official archive.
    """
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=root) as scratch:
        packed, unpacked = Path(scratch, "archive"), Path(scratch, "unpacked")
        found = _fetch(archive.url, packed, progress)
        if found != archive.md5:
            raise ValueError(
                f"{archive.url} gave a file with MD5 {found} instead of {archive.md5}; it was thrown away, try again"
            )
        _unpack(packed, unpacked)
        target = root / archive.folder
        if target.exists():
            shutil.rmtree(target)
        (unpacked / archive.folder).rename(target)
    return target


def _fetch(url: str, path: Path, progress: Callable[[int, int | None], None]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, path.open("wb") as file:
            length = answer.headers.get("Content-Length")
            total, done = (int(length) if length else None), 0
            while block := answer.read(_BLOCK):
                file.write(block)
                digest.update(block)
                done += len(block)
                progress(done, total)
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise ConnectionError(f"{url} could not be fetched ({error})") from error
    if total is not None and done < total:
        raise ConnectionError(f"{url} could not be fetched (it broke off after {done:,} of {total:,} bytes)")
    return digest.hexdigest()


def _unpack(packed: Path, folder: Path) -> None:
    if zipfile.is_zipfile(packed):
        with zipfile.ZipFile(packed) as zipped:
            zipped.extractall(folder)
    else:
        with tarfile.open(packed) as tar:
            tar.extractall(folder, filter="data")
