"""The real splits: right images, right labels, right normalisation; missing and damaged data in one sentence."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.base.cache import cache_folder
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, NormalisedSet, denormalise, normalise
from evaluation.data import tiny_imagenet
from evaluation.data.datasets import data_folder, load_split, training_images_file
from evaluation.data.download import ARCHIVES, Archive, download
from tests.real_data import real_data


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SUBMISSION_DATA", raising=False)


def _digits(split: str) -> ImageSet:
    images = load_split(get_challenge("digits"), "train" if split == "train" else "test", None)
    assert isinstance(images, ImageSet)
    return images


def test_digits_split_is_fixed_stratified_and_disjoint() -> None:
    train, test = _digits("train"), _digits("test")
    assert np.bincount(train.labels).tolist() == [120] * 10
    assert len(test) == 597
    assert train.images.shape[1:] == (3, 32, 32)
    assert train.images.max() > 240
    seen = {image.tobytes() for image in train.images}
    assert len(seen) == 1200
    assert not any(image.tobytes() in seen for image in test.images)


def test_digits_normalisation_is_of_its_training_split() -> None:
    challenge = get_challenge("digits")
    scaled = _digits("train").images / 255
    assert challenge.mean == tuple(round(float(x), 4) for x in scaled.mean((0, 2, 3)))
    assert challenge.std == tuple(round(float(x), 4) for x in scaled.std((0, 2, 3)))


def test_cifar100_is_the_official_one() -> None:
    data, challenge = real_data("cifar-100-python"), get_challenge("cifar100")
    train, test = load_split(challenge, "train", data), load_split(challenge, "test", data / "cifar-100-python")
    assert isinstance(test, ImageSet)
    assert np.bincount(train.labels).tolist() == [500] * 100
    assert np.bincount(test.labels).tolist() == [100] * 100
    np.testing.assert_allclose(train.images.mean((0, 2, 3)) / 255, challenge.mean, atol=1e-4)
    np.testing.assert_allclose(train.images.std((0, 2, 3)) / 255, challenge.std, atol=1e-4)


def test_changed_cifar100_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    (folder / "test").write_bytes(b"not the official file")
    with pytest.raises(ValueError, match=r"has SHA-256 .* but the official file has 4b67687d"):
        load_split(get_challenge("cifar100"), "test", tmp_path)


def test_tiny_imagenet_test_split_and_its_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    data, challenge = real_data("tiny-imagenet-200"), get_challenge("tiny-imagenet")
    test = load_split(challenge, "test", data)
    assert isinstance(test, ImageSet)
    assert np.bincount(test.labels).tolist() == [50] * 200
    lines = (data / "tiny-imagenet-200/val/val_annotations.txt").read_text().splitlines()
    name, wnid = lines[4321].split("\t")[:2]
    with Image.open(data / "tiny-imagenet-200/val/images" / name) as image:
        np.testing.assert_array_equal(test.images[4321], np.asarray(image.convert("RGB")).transpose(2, 0, 1))
    assert challenge.wnids[test.labels[4321]] == wnid

    def unexpected(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(tiny_imagenet, "load", unexpected)
    again = load_split(challenge, "test", data)
    np.testing.assert_array_equal(again.images, test.images)


def _tiny_tree(root: Path, per_class: int = 2) -> Path:
    """A Tiny-ImageNet training tree with other pictures, in the published layout."""
    challenge, draw = get_challenge("tiny-imagenet"), np.random.default_rng(0)
    for wnid in challenge.wnids:
        images = root / "tiny-imagenet-200" / "train" / wnid / "images"
        images.mkdir(parents=True)
        for index in range(per_class):
            pixels = draw.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((64, 64)).save(images / f"{wnid}_{index}.JPEG")
    return root


def test_hidden_things_in_real_data_are_passed_over(tmp_path: Path) -> None:
    challenge, root = get_challenge("tiny-imagenet"), _tiny_tree(tmp_path / "data", per_class=1)
    images = root / "tiny-imagenet-200/train/n01443537/images"
    (images / "._n01443537_0.JPEG").write_bytes(b"\0\5\x16\7")
    (images / ".thumbnails").mkdir()
    (images / "n01443537_boxes.txt").write_text("n01443537_0.JPEG\t0\t0\t3\t3\n")
    assert len(load_split(challenge, "train", root)) == 200


def test_tiny_imagenet_counts_what_is_there_and_names_what_is_missing(tmp_path: Path) -> None:
    challenge, root = get_challenge("tiny-imagenet"), _tiny_tree(tmp_path / "data")
    train = load_split(challenge, "train", root)
    assert np.bincount(train.labels).tolist() == [2] * 200
    first = training_images_file(challenge, root, tmp_path / "given")
    assert training_images_file(challenge, root, tmp_path / "given") == first
    with np.load(first) as file:
        assert sorted(file.files) == ["images", "labels"]
        np.testing.assert_array_equal(file["images"], train.images)
    gone = root / "tiny-imagenet-200/train/n01443537/images/n01443537_1.JPEG"
    gone.unlink()
    assert len(load_split(challenge, "train", root)) == 399
    assert training_images_file(challenge, root, tmp_path / "given") != first
    gone.write_bytes(b"\xff\xd8 no image")
    with pytest.raises(ValueError, match=r"n01443537_1.JPEG: .*unpack the archive"):
        load_split(challenge, "train", root)
    for file in (root / "tiny-imagenet-200/train/n12267677/images").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match="n12267677/images holds no training images"):
        load_split(challenge, "train", root)


def test_damaged_cache_is_made_again(tmp_path: Path) -> None:
    challenge, root = get_challenge("tiny-imagenet"), _tiny_tree(tmp_path / "data", 1)
    train = load_split(challenge, "train", root)
    cached = next((cache_folder() / "decoded").glob("*.npz"))
    cached.write_bytes(cached.read_bytes()[:1000])
    np.testing.assert_array_equal(load_split(challenge, "train", root).images, train.images)


def test_reference_test_file_stands_in_for_the_test_split(tmp_path: Path) -> None:
    challenge = get_challenge("cifar100")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)
    content = {
        "images_val": torch.from_numpy(normalise(pixels, challenge)),
        "labels_val": torch.arange(40) % 100,
    }
    torch.save(content, tmp_path / "cifar100_test.pt")
    test = load_split(challenge, "test", tmp_path)
    assert isinstance(test, NormalisedSet)
    np.testing.assert_array_equal(denormalise(test, challenge).images, pixels)
    torch.save({"images": 1}, tmp_path / "cifar100_test.pt")
    with pytest.raises(ValueError, match="no `images_val`"):
        load_split(challenge, "test", tmp_path)


def test_missing_data_without_a_network_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Archive("http://127.0.0.1:9/cifar-100-python.tar.gz", "0" * 32, "cifar-100-python")
    monkeypatch.setitem(ARCHIVES, "cifar100", nowhere)
    with pytest.raises(ValueError, match=r"train split of CIFAR-100 is not in .* could not be downloaded .*`curl -LO"):
        load_split(get_challenge("cifar100"), "train", tmp_path)


def test_data_folder_prefers_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_folder(None) is None
    monkeypatch.setenv("SUBMISSION_DATA", str(tmp_path))
    assert data_folder(None) == tmp_path
    with pytest.raises(ValueError, match="--data names"):
        data_folder(tmp_path / "none")
    monkeypatch.setenv("SUBMISSION_DATA", str(tmp_path / "none"))
    with pytest.raises(ValueError, match="SUBMISSION_DATA names"):
        data_folder(None)


def test_a_transfer_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """A server that promises 1,000 bytes and hangs up after 4."""

    class Short(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"four")

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Short) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        archive = Archive(f"http://127.0.0.1:{server.server_port}/a.zip", "0" * 32, "set")
        with pytest.raises(OSError, match="IncompleteRead"):
            download(archive, tmp_path / "into")
        server.shutdown()
        thread.join()
    assert not list((tmp_path / "into").iterdir())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


def _tar(path: Path, name: str, content: bytes) -> str:
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_download_is_verified_and_whole(served: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = served
    md5 = _tar(folder / "a.tar.gz", "set/train", b"x" * 100)
    archive = Archive(f"{address}/a.tar.gz", md5, "set")
    for _ in range(2):  # the second time in the place of the first
        target = download(archive, tmp_path / "into")
        assert (target / "train").read_bytes() == b"x" * 100
    with pytest.raises(ValueError, match="expected md5:0000"):
        download(Archive(f"{address}/a.tar.gz", "0" * 32, "other"), tmp_path / "into")
    with pytest.raises(OSError, match="404"):
        download(Archive(f"{address}/none", md5, "other"), tmp_path / "into")
    whole = (folder / "a.tar.gz").read_bytes()
    (folder / "a.tar.gz").write_bytes(whole[:-10])
    with pytest.raises(ValueError, match="hash of downloaded file"):
        download(archive, tmp_path / "into")
    assert [path.name for path in (tmp_path / "into").iterdir()] == ["set"]


def test_fetched_cifar100_is_checked_again(
    served: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The download path of `load_split` end to end, with an archive whose content is not the official one."""
    address, folder = served
    md5 = _tar(folder / "cifar-100-python.tar.gz", "cifar-100-python/test", b"small")
    archive = Archive(f"{address}/cifar-100-python.tar.gz", md5, "cifar-100-python")
    monkeypatch.setitem(ARCHIVES, "cifar100", archive)
    with pytest.raises(ValueError, match="has SHA-256"):
        load_split(get_challenge("cifar100"), "test", tmp_path)
    assert (cache_folder() / "cifar-100-python/test").read_bytes() == b"small"
