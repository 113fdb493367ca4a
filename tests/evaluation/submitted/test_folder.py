"""Reading folders: names, formats, sizes, shards, and the round trip of whole sets."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from evaluation.base.challenge import Challenge, challenges, folder_safe, get_challenge
from evaluation.base.images import ImageSet
from evaluation.formats.class_folders import label_of_folder
from evaluation.formats.shards import read_shard, write_shard
from evaluation.submitted.reading import read_images

CIFAR, TINY, DIGITS = (get_challenge(name) for name in ("cifar100", "tiny-imagenet", "digits"))


@st.composite
def _challenge_and_label(draw: st.DrawFn) -> tuple[Challenge, int]:
    challenge = draw(st.sampled_from(list(challenges().values())))
    return challenge, draw(st.integers(0, challenge.classes - 1))


@given(_challenge_and_label(), st.integers(1, 8), st.sampled_from("-_"), st.booleans())
def test_every_accepted_name_gives_its_label(case: tuple[Challenge, int], digits: int, dash: str, upper: bool) -> None:
    challenge, label = case
    name = challenge.class_names[label]
    index = f"{label:0{digits}d}"
    names = [
        index,
        name,
        name.replace("_", " "),
        folder_safe(name),
        f"{index}{dash}{name}",
        challenge.folder_name(label),
    ]
    if challenge.wnids:
        names += [challenge.wnids[label], f"{index}{dash}{challenge.wnids[label]}"]
    for accepted in names:
        assert label_of_folder(accepted.upper() if upper else accepted, challenge) == label


@given(_challenge_and_label(), st.integers(0, 300))
def test_conflicting_index_and_name_are_refused_with_both_readings(case: tuple[Challenge, int], index: int) -> None:
    challenge, label = case
    name = f"{index:03d}-{challenge.class_names[label]}"
    if index == label:
        assert label_of_folder(name, challenge) == label
        return
    with pytest.raises(ValueError, match="can be read in two ways") as refusal:
        label_of_folder(name, challenge)
    assert f"label index {index}" in str(refusal.value)
    assert f"class name {challenge.class_names[label]!r} is class {challenge.folder_name(label)}" in str(refusal.value)


@given(st.text(min_size=1, max_size=300))
def test_any_other_name_is_refused_on_one_line(name: str) -> None:
    try:
        label_of_folder(name, CIFAR)
    except ValueError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 600


@pytest.mark.parametrize("name", ["100", "-1", "cat_dog", "007-", "n01443537", "¹", "1e1", "007-unknown", "0x1"])
def test_names_of_no_class_are_refused_with_what_is_accepted(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / name / "0.png")
    with pytest.raises(ValueError, match=r"names no class|can be read in two ways"):
        read_images(tmp_path, CIFAR)


def _pixels(count: int, seed: int = 0, size: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def _write(images: ImageSet, folder: Path, challenge: Challenge, suffix: str = ".png") -> None:
    for position, (image, label) in enumerate(zip(images.images, images.labels, strict=True)):
        target = folder / challenge.folder_name(int(label))
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(
            target / f"{position:06d}{suffix}", lossless=True
        )


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp"])
def test_lossless_round_trip(tmp_path: Path, suffix: str) -> None:
    labels = np.random.default_rng(1).integers(0, 100, 300)
    images = ImageSet(np.ascontiguousarray(_pixels(300).transpose(0, 3, 1, 2)), labels)
    _write(images, tmp_path / "images", CIFAR, suffix)
    for path in (tmp_path, tmp_path / "images"):
        contents = read_images(path, CIFAR)
        order = np.argsort(labels, kind="stable")
        np.testing.assert_array_equal(contents.images.images, images.images[order])
        np.testing.assert_array_equal(contents.images.labels, labels[order])
        assert not contents.dropped
        assert not contents.resized
        name = f"{CIFAR.folder_name(labels[order[7]])}/{order[7]:06d}{suffix}"
        assert contents.paths[7] == name


def test_any_size_and_mode_is_brought_to_the_challenge(tmp_path: Path) -> None:
    flat = Image.new("RGB", (100, 50), (200, 100, 50))
    for mode in ("RGB", "L", "RGBA", "P", "1"):
        folder = tmp_path / "3"
        folder.mkdir(exist_ok=True)
        flat.convert(mode).save(folder / f"{mode}.png")
    flat.resize((32, 32)).convert("CMYK").save(folder / "cmyk.jpg")
    contents = read_images(tmp_path, CIFAR)
    assert contents.images.images.shape == (6, 3, 32, 32)
    assert contents.resized == {(100, 50): 5}
    assert contents.warnings[0] == "5 of 6 images were resized to 32 x 32 pixels (5 of them from 100 x 50)"
    by_name = dict(zip(contents.paths, contents.images.images, strict=True))
    assert by_name["3/RGB.png"][:, 0, 0].tolist() == [200, 100, 50]
    assert by_name["3/RGBA.png"][:, 0, 0].tolist() == [200, 100, 50]


def test_published_layout_with_an_images_folder(tmp_path: Path) -> None:
    for wnid in TINY.wnids[:2]:
        folder = tmp_path / wnid / "images"
        folder.mkdir(parents=True)
        Image.fromarray(_pixels(1, size=64)[0]).save(folder / f"{wnid}_0.JPEG")
    assert read_images(tmp_path, TINY).images.labels.tolist() == [0, 1]


def test_class_folders_beside_an_images_folder_are_not_passed_over(tmp_path: Path) -> None:
    for folder in (tmp_path / "images" / TINY.wnids[0], tmp_path / TINY.wnids[1]):
        folder.mkdir(parents=True)
        Image.fromarray(_pixels(1, size=64)[0]).save(folder / "0.png")
    with pytest.raises(ValueError, match=rf"holds images/ and {TINY.wnids[1]} beside it"):
        read_images(tmp_path, TINY)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=20),
    st.sampled_from(["<i8", "<i4", "u1"]),
    st.booleans(),
    st.booleans(),
)
def test_shards_round_trip(labels: list[int], kind: str, channels_last: bool, packed: bool) -> None:
    import tempfile

    pixels = _pixels(len(labels))
    nchw = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.npz")
        save = np.savez_compressed if packed else np.savez
        save(file, images=pixels if channels_last else nchw, labels=np.array(labels, kind))
        shard = read_shard(file, DIGITS)
        np.testing.assert_array_equal(shard.images, nchw)
        assert shard.labels.tolist() == labels
        write_shard(file, shard)
        assert read_images(file, DIGITS).images.labels.tolist() == sorted(labels)


def test_shards_and_class_folders_together(tmp_path: Path) -> None:
    small = ImageSet(np.full((3, 3, 16, 16), 7, np.uint8), np.array([9, 0, 9]))
    write_shard(tmp_path / "a.npz", small)
    _write(ImageSet(np.zeros((2, 3, 32, 32), np.uint8), np.array([9, 1])), tmp_path, DIGITS)
    contents = read_images(tmp_path, DIGITS)
    assert contents.images.labels.tolist() == [0, 1, 9, 9, 9]
    assert contents.paths == ("a.npz[1]", "001-1/000001.png", "009-9/000000.png", "a.npz[0]", "a.npz[2]")
    assert contents.images.images[:, 0, 5, 5].tolist() == [7, 0, 0, 7, 7]
    assert contents.resized == {(16, 16): 3}


def test_what_was_left_out_is_told(tmp_path: Path) -> None:
    _write(ImageSet(np.zeros((2, 3, 32, 32), np.uint8), np.array([0, 1])), tmp_path, DIGITS)
    (tmp_path / "000-0" / "000001.png.part").write_bytes(b"\x89PNG")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".cache").mkdir()
    whole = (tmp_path / "001-1" / "000001.png").read_bytes()
    (tmp_path / "001-1" / "000002.png").write_bytes(whole[:-30])
    contents = read_images(tmp_path, DIGITS)
    assert len(contents.images) == 2
    assert {(entry.path, entry.half_written) for entry in contents.dropped} == {
        ("000-0/000001.png.part", True),
        ("001-1/000002.png", True),
    }
    assert {(entry.path, entry.reason) for entry in contents.not_images} == {
        ("notes.txt", "no image"),
        (".cache", "hidden folder"),
    }
    assert contents.half_written == 2
    assert contents.warnings == (
        "2 files were left out, 2 of them half-written",
        "8 of 10 classes have no image",
    )


def test_nothing_to_judge_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no readable image; class folders are called 0 to 99 \(label index\)"):
        read_images(tmp_path, CIFAR)
    for path in (tmp_path / "none", tmp_path / "a.zip"):
        if path.suffix:
            path.touch()
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read_images(path, CIFAR)
