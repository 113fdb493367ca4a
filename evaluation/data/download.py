"""Download a publisher's archive, check it, unpack it: whole or not at all."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from evaluation.base.container import mount_cache, tell_if_lost
from evaluation.base.files import written_whole
from evaluation.base.progress_bar import Update, progress_bar

_TIMEOUT_S = 20.0  # without a byte


class Archive(NamedTuple):
    """A data set's archive, its MD5, and the folder it unpacks to."""

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


def download(archive: Archive, root: Path) -> Path:
    """Download `archive` and unpack it as `root / archive.folder`, which appears only when it is whole.

    Raises OSError where that is impossible or breaks off, ValueError for an archive that is not the official one.
    """
    import pooch  # requests comes with it, and both are slow to import

    tell_if_lost(root, "The data set", mount_cache())
    pooch.get_logger().setLevel("WARNING")
    unpack = pooch.Unzip if archive.url.endswith(".zip") else pooch.Untar
    with written_whole(root / archive.folder) as target, tempfile.TemporaryDirectory(dir=root) as scratch:
        with progress_bar(f"Downloading {archive.url}") as update:
            pooch.retrieve(
                archive.url,
                known_hash=f"md5:{archive.md5}",
                fname="archive",
                path=scratch,
                downloader=pooch.HTTPDownloader(progressbar=_Bar(update), chunk_size=2**18, timeout=_TIMEOUT_S),
                processor=unpack(extract_dir="unpacked"),
            )
        Path(scratch, "unpacked", archive.folder).rename(target)
    return root / archive.folder


class _Bar:
    """What pooch tells its progress to. `total` is in bytes, 0 where the server does not say."""

    def __init__(self, update: Update) -> None:
        self.total = self._done = 0
        self._update = update

    def update(self, count: int) -> None:
        self._done = min(self._done + count, self.total)
        self._update(self._done / max(1, self.total), f"{self._done / 2**20:.0f} of {self.total / 2**20:.0f} MB")

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None: ...
