"""The challenge's `.pt` submissions: a bare float32 tensor (N, 3, H, W), normalised, class after class.

Files by strangers are loaded weights-only, and what they declare is checked before it is touched.
"""

import pickle
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.base.challenge import Challenge
from evaluation.base.files import written_whole
from evaluation.base.images import ImageSet, NormalisedSet, normalise
from evaluation.base.untrusted import MAX_SET_BYTES, UnreadableFileError, check_regular, most_images, printable
from evaluation.formats.field_formats import held_by

_BLOCK = 1 << 20
_TAR_HEADER, _TAR_MAGIC_AT = 512, 257
_MAX_FILE_BYTES = 4 * MAX_SET_BYTES  # floats take four bytes a channel value


class HalfWrittenTensorError(ValueError):
    """A file that `torch.save` had not finished when its writer ended."""


def tensor_name(challenge: Challenge) -> str:
    """What the challenge calls a submission's file: `cifar100.pt`, `tinyimagenet.pt`."""
    return f"{challenge.name.replace('-', '')}.pt"


def write_tensor(path: Path, images: ImageSet | NormalisedSet, challenge: Challenge, ipc: int | None = None) -> None:
    """Export for the challenge's evaluator: float32 (classes * ipc, 3, H, W), normalised, class-major.

    What is normalised already keeps its values.

    Keeps the first `ipc` images of each class, all for None. Raises ValueError where a class has fewer than that, or
    than others where all are kept.
    """
    import torch

    counts = np.bincount(images.labels, minlength=challenge.classes)
    least = int(counts.min())
    if ipc is None and (least == 0 or least != counts.max()):
        rarest, largest = (challenge.folder_name(int(label)) for label in (counts.argmin(), counts.argmax()))
        raise ValueError(
            f"the tensor format has no labels and needs equally many images of every class, but {rarest} has {least}"
            f" and {largest} has {counts.max()}; choose how many to keep with --ipc"
        )
    keep = least if ipc is None else ipc
    if not 1 <= keep <= least:
        raise ValueError(f"--ipc {keep} does not fit: the rarest class has {least} images")
    order = np.argsort(images.labels, kind="stable")
    starts = np.cumsum(counts) - counts
    chosen = order[(starts[:, None] + np.arange(keep)).ravel()]
    with written_whole(path) as part:
        kept = images.images[chosen]
        floats = kept if isinstance(images, NormalisedSet) else normalise(kept, challenge)
        torch.save(torch.from_numpy(floats), part)


def read_tensor(path: Path, challenge: Challenge) -> NormalisedSet:
    """Read a submission in the challenge's format, as it is: no value is rounded or clipped.

    A bare floating-point tensor (N, 3, H, W) with N a multiple of the classes, class-major; a dict with such `images`
    and integer `labels` (N,); or what other codes of the field save. Raises ValueError for anything else.
    """
    return read_tensor_and_notes(path, challenge)[0]


def read_tensor_and_notes(path: Path, challenge: Challenge) -> tuple[NormalisedSet, tuple[str, ...]]:
    """The same, and sentences on what the file holds and a judgement leaves out."""
    held = held_by(load_weights_only(path), path, load_weights_only)
    return to_normalised(held.images, held.labels, challenge, str(path)), held.notes


def load_weights_only(path: Path) -> Any:
    """Tensors and plain containers from a regular file of bounded size, without running code.

    Raises HalfWrittenTensorError for one that looks unfinished, ValueError for any other.
    """
    import torch

    try:
        check_regular(path.lstat() if path.is_symlink() else path.stat(), _MAX_FILE_BYTES)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _check_archive(archive, path)
        elif _is_tar(path):
            raise ValueError(
                f"{path} is in the tar format of PyTorch before 0.1.10; load it there and save it again with torch.save"
            )
        # torch warns about what is refused with a sentence of ours
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(_numpy_scalars()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnreadableFileError as problem:
        kind = HalfWrittenTensorError if problem.half_written else ValueError
        raise kind(f"{path} cannot be read: {problem.reason}") from None
    except (pickle.UnpicklingError, AttributeError, TypeError, KeyError, IndexError) as error:
        raise ValueError(
            f"{path} holds more than tensors, so it was not loaded; save a bare tensor with torch.save"
        ) from error
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, MemoryError, OverflowError) as error:
        raise HalfWrittenTensorError(f"{path} is not a complete torch.save file; it may be half-written") from error


def _numpy_scalars() -> list[Any]:
    """What a NumPy number is made of, which dataset condensation's codes save beside their images as accuracies."""
    scalar = np.float64(0).__reduce__()[0]
    named = [(scalar, f"{package}.multiarray.scalar") for package in ("numpy.core", "numpy._core")]
    return [*named, np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType]


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Raises ValueError for an archive that torch.save does not write, or whose members contradict their checksums."""
    members = archive.infolist()
    if any(member.filename.endswith("/constants.pkl") for member in members):
        raise ValueError(
            f"{path} is a TorchScript archive, a saved program; save the tensor that it holds with torch.save"
        )
    if sum(member.file_size for member in members) > path.stat().st_size:  # torch stores without compression
        raise ValueError(f"{path} is compressed, which torch.save never does; save it again with torch.save")
    for member in members:
        # zeros stand where `torch.serialization.set_crc32_options(False)` left the checksums out
        if member.CRC and not _agrees(archive, member):
            raise ValueError(
                f"{path} is damaged: {printable(member.filename)} in it contradicts its checksum; copy the file again"
            )


def _is_tar(path: Path) -> bool:
    """Whether the first member of a tar archive begins here."""
    with path.open("rb") as file:
        return file.read(_TAR_HEADER)[_TAR_MAGIC_AT:].startswith(b"ustar")


def _agrees(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Whether a member can be read and is what its checksum is of."""
    try:
        with archive.open(member) as content:
            while content.read(_BLOCK):
                pass
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error):
        return False
    return True


def to_normalised(images: Any, labels: Any, challenge: Challenge, origin: str) -> NormalisedSet:
    """Check tensors by anyone and take them over unchanged in value.

    Args:
        images: should be a floating-point tensor (N, 3, H, W) at the challenge's size.
        labels: should be an integer tensor (N,); None for class-major order with equal IPC.
        origin: what the file is called in error sentences.

    Raises:
        ValueError: they are anything else.
    """
    import torch

    size, classes = challenge.size, challenge.classes
    wanted = f"a float tensor (N, 3, {size}, {size})"
    if not _is_plain(images) or not images.is_floating_point() or images.ndim != 4:
        raise ValueError(f"{origin} holds {_describe(images)} instead of {wanted}, normalised and class after class")
    if tuple(images.shape[1:]) != (3, size, size):
        raise ValueError(f"{origin} holds images of shape {tuple(images.shape[1:])}; {challenge.title} needs {wanted}")
    if len(images) > most_images(challenge):
        raise ValueError(f"{origin} holds {len(images):,} images; at most {most_images(challenge):,} are read")
    if labels is None:
        if not len(images) or len(images) % classes:
            raise ValueError(
                f"{origin} holds {len(images):,} images, which is not a multiple of the {classes} classes, so the"
                " labels do not follow from the order"
            )
        counted = np.repeat(np.arange(classes, dtype=np.int64), len(images) // classes)
    else:
        whole = _is_plain(labels) and not (labels.is_floating_point() or labels.is_complex())
        if not whole or labels.shape != (len(images),):
            raise ValueError(f"{origin} holds {_describe(labels)} as labels instead of whole numbers ({len(images)},)")
        counted = labels.to(torch.int64).numpy()
        if len(counted) and not 0 <= counted.min() <= counted.max() < classes:
            raise ValueError(f"{origin} has labels outside 0 to {classes - 1}")
    return NormalisedSet(images.detach().to(torch.float32).contiguous().numpy(), counted)


def _is_plain(value: Any) -> bool:
    """Whether `value` is a dense tensor in memory whose storage really holds what its shape claims."""
    import torch

    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and value.untyped_storage().nbytes() >= value.numel() * value.element_size()
    )


def _describe(value: Any) -> str:
    import torch

    if isinstance(value, torch.Tensor):
        told = f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
        return told if _is_plain(value) else f"{told} that does not hold all its values (sparse, expanded or on meta)"
    return f"an object of type {type(value).__name__}"
