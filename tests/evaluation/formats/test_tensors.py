"""`.pt` submissions: exact round trips, foreign floats left alone, strange files refused."""

from __future__ import annotations

import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, NormalisedSet, content_hash, denormalise, normalise
from evaluation.formats.tensors import read_tensor, write_tensor
from evaluation.submitted.reading import read_images

CIFAR = get_challenge("cifar100")


def _images(counts: list[int], seed: int = 0) -> ImageSet:
    draw = np.random.default_rng(seed)
    labels = draw.permutation(np.repeat(np.arange(len(counts)), counts))
    return ImageSet(draw.integers(0, 256, (len(labels), 3, 32, 32), dtype=np.uint8), labels.astype(np.int64))


@pytest.mark.parametrize("name", ["cifar100", "tiny-imagenet", "digits"])
def test_every_pixel_value_survives_normalisation(name: str) -> None:
    challenge = get_challenge(name)
    every = np.broadcast_to(np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16), (1, 3, 16, 16))
    normalised = NormalisedSet(normalise(every, challenge), np.zeros(1, np.int64))
    np.testing.assert_array_equal(denormalise(normalised, challenge).images, every)


def test_normalisation_is_what_torch_would_compute() -> None:
    images = _images([2] * 100).images
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (CIFAR.mean, CIFAR.std))
    expected = (torch.from_numpy(images).float() / 255 - mean) / std
    np.testing.assert_array_equal(normalise(images, CIFAR), expected.numpy())


def test_export_and_import_are_exact(tmp_path: Path) -> None:
    images, file = _images([3] * 100), tmp_path / "cifar100.pt"
    write_tensor(file, images, CIFAR)
    bare = torch.load(file, weights_only=True)
    assert (bare.dtype, tuple(bare.shape)) == (torch.float32, (300, 3, 32, 32))
    contents = read_images(file, CIFAR)
    assert isinstance(contents.images, NormalisedSet)
    assert contents.images.labels.tolist() == sorted(images.labels.tolist())
    order = np.argsort(images.labels, kind="stable")
    np.testing.assert_array_equal(denormalise(contents.images, CIFAR).images, images.images[order])
    assert contents.paths[299] == "cifar100.pt[299]"


def test_export_wants_equal_classes_or_trims(tmp_path: Path) -> None:
    images, file = _images([2, 4] + [3] * 98), tmp_path / "cifar100.pt"
    with pytest.raises(ValueError, match=r"000-apple has 2 and 001-aquarium_fish has 4; choose how many .* --ipc"):
        write_tensor(file, images, CIFAR)
    with pytest.raises(ValueError, match="--ipc 3 does not fit: the rarest class has 2"):
        write_tensor(file, images, CIFAR, ipc=3)
    assert not any(tmp_path.iterdir())
    write_tensor(file, images, CIFAR, ipc=2)
    trimmed = denormalise(read_tensor(file, CIFAR), CIFAR)
    assert np.bincount(trimmed.labels).tolist() == [2] * 100
    np.testing.assert_array_equal(trimmed.images[-2:], images.images[images.labels == 99][:2])


@given(st.integers(0, 2**32 - 1))
def test_hash_depends_on_pixels_labels_and_order(seed: int) -> None:
    images = _images([1] * 3, seed)
    changed = images.images.copy()
    changed[0, 0, 0, 0] ^= 1
    others = [
        ImageSet(changed, images.labels),
        ImageSet(images.images, (images.labels + 1) % 3),
        images.take(np.array([1, 0, 2])),
    ]
    assert content_hash(images) not in {content_hash(other) for other in others}
    assert content_hash(images) == content_hash(ImageSet(np.asfortranarray(images.images), images.labels))


def test_foreign_floats_are_left_as_they_are(tmp_path: Path) -> None:
    wild = torch.randn(100, 3, 32, 32, dtype=torch.float64) * 50
    wild[0] = float("nan")
    torch.save(wild, tmp_path / "wild.pt")
    np.testing.assert_array_equal(read_tensor(tmp_path / "wild.pt", CIFAR).images, wild.float().numpy())
    torch.save({"images": wild[:7], "labels": torch.arange(7, dtype=torch.int32)}, tmp_path / "wild.pt")
    assert read_tensor(tmp_path / "wild.pt", CIFAR).labels.tolist() == list(range(7))


def test_a_labelled_tensor_is_exported_class_after_class_with_its_values(tmp_path: Path) -> None:
    wild = torch.randn(200, 3, 32, 32) * 50
    torch.save({"images": wild, "labels": torch.arange(200) % 100}, tmp_path / "mine.pt")
    write_tensor(tmp_path / "cifar100.pt", read_tensor(tmp_path / "mine.pt", CIFAR), CIFAR)
    exported = torch.load(tmp_path / "cifar100.pt", weights_only=True)
    assert torch.equal(exported, wild.reshape(2, 100, 3, 32, 32).transpose(0, 1).reshape(200, 3, 32, 32))
    write_tensor(tmp_path / "one.pt", read_tensor(tmp_path / "cifar100.pt", CIFAR), CIFAR, ipc=1)
    assert torch.equal(torch.load(tmp_path / "one.pt", weights_only=True), wild[:100])


def _saved(tmp_path: Path) -> tuple[bytearray, int]:
    """A sound file, and where its floats begin."""
    floats = torch.randn(100, 3, 32, 32)
    torch.save(floats, tmp_path / "x.pt")
    data = bytearray((tmp_path / "x.pt").read_bytes())
    return data, data.find(floats.numpy().tobytes()[:64])


@pytest.mark.parametrize("damage", ["zeros at the end", "one bit", "zeros in the middle"])
def test_damage_at_the_right_size_is_refused(tmp_path: Path, damage: str) -> None:
    data, at = _saved(tmp_path)
    if damage == "one bit":
        data[at + 77_777] ^= 1
    else:
        start, length = (at + 600_000, 628_800) if damage == "zeros at the end" else (at + 4096, 4096)
        data[start : start + length] = bytes(length)
    (tmp_path / "x.pt").write_bytes(data)
    with pytest.raises(ValueError, match="is damaged: x/data/0 in it contradicts its checksum; copy the file again"):
        read_tensor(tmp_path / "x.pt", CIFAR)


def test_a_file_without_checksums_is_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        _saved(tmp_path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert len(read_tensor(tmp_path / "x.pt", CIFAR)) == 100


def test_other_files_called_pt_are_named(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "script.pt")
    with pytest.raises(ValueError, match="is a TorchScript archive, a saved program"):
        read_tensor(tmp_path / "script.pt", CIFAR)
    with tarfile.open(tmp_path / "legacy.pt", "w") as archive:
        archive.addfile(tarfile.TarInfo("sys_info"))
    with pytest.raises(ValueError, match=r"tar format of PyTorch before 0\.1\.10"):
        read_tensor(tmp_path / "legacy.pt", CIFAR)
    (tmp_path / "empty.pt").write_bytes(bytes(4096))
    with pytest.raises(ValueError, match=r"was not loaded|not a complete torch\.save file"):
        read_tensor(tmp_path / "empty.pt", CIFAR)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (torch.zeros(100, 3, 64, 64), r"holds images of shape \(3, 64, 64\)"),
        (torch.zeros(150, 3, 32, 32), "150 images, which is not a multiple of the 100 classes"),
        (torch.zeros(0, 3, 32, 32), "0 images"),
        (torch.zeros(100, 3, 32, 32, dtype=torch.uint8), "a uint8 tensor of shape"),
        (torch.zeros(100, 3072), "a float32 tensor of shape"),
        (torch.zeros(1).expand(10**7, 3, 32, 32), "instead of a float tensor"),
        (torch.zeros(100, 3, 32, 32).to_sparse(), "instead of a float tensor"),
        (torch.zeros(100, 3, 32, 32, device="meta"), "instead of a float tensor"),
        ([1, 2], "an object of type list"),
        ({"images": torch.zeros(2, 3, 32, 32), "labels": torch.tensor([0, 100])}, "labels outside 0 to 99"),
        ({"images": torch.zeros(2, 3, 32, 32), "labels": torch.tensor([0.0, 1.0])}, "as labels"),
        ({"images": torch.zeros(2, 3, 32, 32), "labels": [0, 1]}, "as labels"),
    ],
)
def test_wrong_content_is_one_sentence(tmp_path: Path, content: Any, sentence: str) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=sentence):
        read_tensor(tmp_path / "x.pt", CIFAR)


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def test_code_does_not_run(tmp_path: Path) -> None:
    file, marker = tmp_path / "evil.pt", tmp_path / "ran"
    torch.save({"images": _Evil(marker)}, file)
    with pytest.raises(ValueError, match="holds more than tensors, so it was not loaded"):
        read_tensor(file, CIFAR)
    file.write_bytes(pickle.dumps(_Evil(marker)))
    with pytest.raises(ValueError, match=r"was not loaded|no whole file"):
        read_tensor(file, CIFAR)
    assert not marker.exists()
