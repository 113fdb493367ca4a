"""The real splits: from a folder of the user's, the cache, or the publisher, in this order."""

import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, overload

import numpy as np
from PIL import Image

from evaluation.base.cache import cache_folder, cache_folders
from evaluation.base.challenge import Challenge
from evaluation.base.container import give_data
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.base.untrusted import UnreadableFileError
from evaluation.data import cifar100, tiny_imagenet
from evaluation.data.download import ARCHIVES, download
from evaluation.formats.shards import read_shard, write_shard
from evaluation.formats.tensors import load_weights_only, to_normalised

Split = Literal["train", "test"]

# the challenge publishes its test images as normalised floats with labels, too
_CHALLENGE_TEST_FILES = {"cifar100": "cifar100_test.pt", "tiny-imagenet": "tinyimagenet_test.pt"}

_DIGITS_TRAINING_IPC = 120  # of each class; the other 597 of the 1,797 images are the test split


def data_folder(option: Path | None) -> Path | None:
    """The user's data sets: `--data`, else SUBMISSION_DATA, else None. Raises ValueError where that is no folder."""
    named = option or (Path(os.environ["SUBMISSION_DATA"]) if os.environ.get("SUBMISSION_DATA") else None)
    if named is not None and not named.is_dir():
        origin = "--data" if option else "SUBMISSION_DATA"
        raise ValueError(f"{origin} names {named}, which is not a folder; name the one that holds the data sets")
    return named


@overload
def load_split(challenge: Challenge, split: Literal["train"], data: Path | None) -> ImageSet: ...
@overload
def load_split(challenge: Challenge, split: Literal["test"], data: Path | None) -> ImageSet | NormalisedSet: ...
def load_split(challenge: Challenge, split: Split, data: Path | None) -> ImageSet | NormalisedSet:
    """The real training or test images of a challenge.

    Args:
        data: a folder with the publishers' folders (or one of these), as `data_folder` gives it; None for the cache
            and, where there is a network, the publisher's archive.

    Returns:
        An ImageSet; a NormalisedSet where all that there is of the test split is the challenge's own test file.

    Raises:
        ValueError: the data is missing and cannot be fetched, or damaged; the sentence says what to do.
    """
    if challenge.name == "digits":
        return _load_digits(split, challenge)
    for root in _roots(data):
        if found := _find(challenge, split, root):
            return _load(challenge, split, found)
        if split == "test" and (file := _challenge_test_file(root, challenge)):
            return _load_challenge_test(file, challenge)
    found = _find(challenge, split, _download(challenge, split, _roots(data)))
    assert found is not None
    return _load(challenge, split, found)


def _load_digits(split: Split, challenge: Challenge) -> ImageSet:
    """scikit-learn's handwritten digits: of each class 120 drawn with seed 0 train, the rest test.

    The 8 x 8 values 0..16 become 0..255, are resampled to the challenge's size (bicubic) and repeated over RGB.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    draw = np.random.RandomState(0)
    part = slice(None, _DIGITS_TRAINING_IPC) if split == "train" else slice(_DIGITS_TRAINING_IPC, None)
    chosen = np.concatenate([draw.permutation(np.flatnonzero(digits.target == d))[part] for d in range(10)])
    grey = np.rint(digits.images[chosen] * (255 / 16)).astype(np.uint8)
    size = (challenge.size, challenge.size)
    large = np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) for image in grey])
    images = np.ascontiguousarray(np.broadcast_to(large[:, None], (len(large), 3, *size)))
    return ImageSet(images, digits.target[chosen].astype(np.int64))


def is_at_hand(challenge: Challenge, split: Split, data: Path | None) -> bool:
    """Whether `load_split` would find a split without a network; it is not opened."""
    if challenge.name == "digits":
        return find_spec("sklearn") is not None
    return any(
        _find(challenge, split, root) or (split == "test" and _challenge_test_file(root, challenge))
        for root in _roots(data)
    )


def real_data_places(challenge: Challenge, data: Path | None) -> list[Path]:
    """Files and folders in which real data of `challenge`, its test split too, may lie on this machine; resolved."""
    if challenge.name == "digits":
        package = find_spec("sklearn")
        files = [Path(package.origin).parent / "datasets/data/digits.csv.gz"] if package and package.origin else []
        return [file.resolve() for file in files if file.exists()]
    roots = [root.resolve() for root in _roots(data) if root.is_dir()]
    linked = [path.resolve() for root in roots for path in root.iterdir() if path.is_symlink() and path.exists()]
    return [*roots, *linked]


def training_images_file(challenge: Challenge, data: Path | None, folder: Path) -> Path:
    """An `.npz` of the training split and nothing else, which is what a generator's process may see.

    It holds `images` uint8 (N, 3, H, W) and `labels` int64 (N,); one of the same data in `folder` is used again.
    Raises ValueError as `load_split`, or where it cannot be written.
    """
    path = folder / f"{challenge.name}-train-{_key(challenge, data)}.npz"
    if not path.exists():
        train = load_split(challenge, "train", data)
        try:
            write_shard(path, train)
        except OSError as error:
            raise ValueError(
                f"the training images for the generator cannot be written to {path} ({error.strerror or error}); set"
                " XDG_CACHE_HOME to a folder that can be written and has room"
            ) from None
    return path


def _roots(data: Path | None) -> list[Path]:
    """Where to look for data sets, in order."""
    return [*([data] if data else []), *cache_folders()]


def _find(challenge: Challenge, split: Split, root: Path) -> Path | None:
    return cifar100.find(root, split) if challenge.name == "cifar100" else tiny_imagenet.find(root, split)


def _load(challenge: Challenge, split: Split, found: Path) -> ImageSet:
    if challenge.name == "cifar100":
        return cifar100.load(found, split)
    files = tiny_imagenet.list_files(found, split, challenge)
    cached = cache_folder() / "decoded" / f"{challenge.name}-{split}-{tiny_imagenet.fingerprint(files)}.npz"
    if cached.exists():
        try:
            return read_shard(cached, challenge)
        except (UnreadableFileError, ValueError):
            cached.unlink()
    images = tiny_imagenet.load(files, challenge)
    with suppress(OSError):  # no room, or nowhere to write: the next run decodes again, ten times as long as reading
        write_shard(cached, images)
        for older in cached.parent.glob(f"{challenge.name}-{split}-*.npz"):
            if older != cached:
                older.unlink(missing_ok=True)
    return images


def _key(challenge: Challenge, data: Path | None) -> str:
    """Changes when the training split does."""
    if challenge.name != "tiny-imagenet":
        return "1"  # always the same images, or an error
    for root in _roots(data):
        if found := tiny_imagenet.find(root, "train"):
            return tiny_imagenet.fingerprint(tiny_imagenet.list_files(found, "train", challenge))
    return "published"


def _download(challenge: Challenge, split: Split, roots: list[Path]) -> Path:
    """Fetch the publisher's archive into the cache; returns the folder it is in."""
    archive, cache = ARCHIVES[challenge.name], cache_folder()
    try:
        download(archive, cache)
    except Exception as error:  # whatever a network or a proxy can do
        places = " or ".join(str(root) for root in roots)
        unpack = "unzip" if archive.url.endswith(".zip") else "tar -xzf"
        raise ValueError(
            f"the {split} split of {challenge.title} is not in {places}, and {archive.url} could not be downloaded"
            f" ({error}); on a machine with a network run `curl -LO {archive.url} &&"
            f" {unpack} {archive.url.rsplit('/', 1)[1]}` in a folder for data sets, and {give_data()}"
        ) from error
    return cache


def _challenge_test_file(root: Path, challenge: Challenge) -> Path | None:
    """The challenge's own test file in `root`, None where there is none."""
    name = _CHALLENGE_TEST_FILES.get(challenge.name)
    return root / name if name and (root / name).is_file() else None


def _load_challenge_test(file: Path, challenge: Challenge) -> NormalisedSet:
    """Read `images_val` (N, 3, H, W) and `labels_val` (N,). Raises ValueError where the file holds anything else."""
    content = load_weights_only(file)
    if not isinstance(content, dict) or not {"images_val", "labels_val"} <= content.keys():
        raise ValueError(f"{file} is not a test file of the challenge: it has no `images_val` and `labels_val`")
    return to_normalised(content["images_val"], content["labels_val"], challenge, str(file))
