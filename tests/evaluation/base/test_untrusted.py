"""Hostile submissions: every file is read, left out or refused in one sentence, in bounded memory, with no code run."""

from __future__ import annotations

import io
import math
import os
import pickle
import resource
import socket
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from evaluation.base import untrusted
from evaluation.base.challenge import get_challenge
from evaluation.base.untrusted import KEPT_VERBATIM, UnreadableFileError, printable
from evaluation.formats import decode as decoding
from evaluation.formats.decode import decode
from evaluation.formats.tensors import read_tensor
from evaluation.submitted import listing
from evaluation.submitted.reading import read_images

DIGITS = get_challenge("digits")


def _encoded(kind: str, size: tuple[int, int] = (32, 32)) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def _png_claiming(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100_000)))
        + chunk(b"IEND", b"")
    )


def _webp_claiming(width: int, height: int) -> bytes:
    honest = bytearray(_encoded("WEBP"))
    assert honest[12:16] == b"VP8 "
    honest[26:30] = struct.pack("<HH", width, height)
    return bytes(honest)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A submission with one good image, to which a test adds a bad thing."""
    (tmp_path / "out" / "0").mkdir(parents=True)
    (tmp_path / "out" / "0" / "good.png").write_bytes(_encoded("PNG"))
    return tmp_path / "out"


def _reasons(folder: Path) -> dict[str, int]:
    contents = read_images(folder, DIGITS)
    assert contents.paths == ("0/good.png",)
    return dict(contents.dropped_reasons)


@pytest.mark.parametrize("claim", [_png_claiming, _webp_claiming])
def test_decompression_bombs_are_left_out_unopened(folder: Path, claim: Callable[[int, int], bytes]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for position in range(20):
        (folder / "0" / f"bomb{position}.img.png").write_bytes(claim(16_000, 16_000))
    assert _reasons(folder) == {"too many pixels": 20}
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 300_000  # one 16,000 x 16,000 canvas is a gigabyte


def test_lying_header_of_an_allowed_size(folder: Path) -> None:
    (folder / "0" / "lie.png").write_bytes(_png_claiming(2000, 2000))
    assert sum(_reasons(folder).values()) == 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_truncated_images_are_told_as_half_written(kind: str) -> None:
    whole = _encoded(kind)
    decode(whole, 32)
    for keep in (1, 5, 20, len(whole) // 3, len(whole) // 2, len(whole) - 100):
        with pytest.raises(UnreadableFileError) as problem:
            decode(whole[:keep], 32)
        assert problem.value.half_written, (kind, keep, problem.value.reason)


@settings(max_examples=300)
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "BMP"]), st.data())
def test_damaged_images_never_raise_anything_else(kind: str, data: st.DataObject) -> None:
    noisy = bytearray(_encoded(kind))
    for _ in range(data.draw(st.integers(1, 8))):
        noisy[data.draw(st.integers(0, min(len(noisy), 300) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels, _ = decode(bytes(noisy), 32)
    except UnreadableFileError:
        return
    assert pixels.shape == (3, 32, 32)


@given(st.binary(max_size=200))
def test_random_bytes_are_no_image(content: bytes) -> None:
    with pytest.raises(UnreadableFileError):
        decode(content, 32)


def test_links_pipes_sockets_and_devices_are_left_out(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "real.png").write_bytes(_encoded("PNG"))
    (folder / "0" / "link.png").symlink_to(secret / "real.png")
    (folder / "0" / "loop.png").symlink_to(folder / "0" / "loop.png")
    (folder / "0" / "deeper").symlink_to(secret)
    (folder / "1").symlink_to(secret)
    (folder / "a.npz").symlink_to(secret / "real.png")
    os.mkfifo(folder / "0" / "pipe.png")
    os.mkfifo(folder / "pipe.npz")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "0" / "socket.png"))
        assert _reasons(folder) == {
            "symbolic link": 5,
            "not a regular file": 3,
        }


def test_a_linked_images_folder_of_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to("/")
    with pytest.raises(ValueError, match="is a symbolic link"):
        read_images(tmp_path, DIGITS)


def test_names_cannot_break_a_report(folder: Path) -> None:
    odd = ["a\nb.txt", "\x1b[31mred.txt", "x" * 240 + ".txt", os.fsdecode(b"\xff\xfe.txt"), "‮gpj.txt"]
    for name in odd:
        (folder / "0" / name).write_bytes(b"x")
    contents = read_images(folder, DIGITS)
    assert len(contents.not_images) == len(odd)
    for entry in contents.not_images:
        assert entry.path.isprintable()
        assert len(entry.path) <= 200
        entry.path.encode()
    (folder / "evil\nname").mkdir()
    (folder / "evil\nname" / "0.png").write_bytes(_encoded("PNG"))
    with pytest.raises(ValueError, match=r"evil\\nname") as refusal:
        read_images(folder, DIGITS)
    assert "\n" not in str(refusal.value)


@given(st.text())
def test_printable_is_printable(name: str) -> None:
    assert printable(name).isprintable()
    assert len(printable(name)) <= 200


def test_many_empty_files_are_counted_not_kept(folder: Path) -> None:
    for position in range(3000):
        (folder / "0" / f"{position}.png").touch()
    contents = read_images(folder, DIGITS)
    assert dict(contents.dropped_reasons) == {"empty file": 3000}
    assert len(contents.dropped) == KEPT_VERBATIM
    assert contents.half_written == 3000


def test_too_many_files_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_ENTRIES", 50)
    for position in range(60):
        (folder / "0" / f"{position}.png").touch()
    with pytest.raises(ValueError, match="more than 50 files and folders; keep fewer"):
        read_images(folder, DIGITS)


def test_endless_decoding_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files with many pixels, whole or damaged at the end, count against one allowance."""
    monkeypatch.setattr(decoding, "MAX_TOTAL_PIXELS", 5 * 2000 * 2000)
    for position in range(4):
        (folder / "0" / f"{position}.png").write_bytes(_png_claiming(2000, 2000))
    assert sum(_reasons(folder).values()) == 4
    for position in range(4, 8):
        (folder / "0" / f"{position}.png").write_bytes(_png_claiming(2000, 2000))
    with pytest.raises(ValueError, match=r"more than 20,000,000 pixels together; write them at 32 x 32"):
        read_images(folder, DIGITS)


def test_too_large_a_file_is_left_out(folder: Path) -> None:
    with (folder / "0" / "large.png").open("wb") as file:
        file.truncate(untrusted.MAX_IMAGE_BYTES + 1)  # sparse
    assert _reasons(folder) == {"file too large": 1}


def test_deep_folders_are_left_out(folder: Path) -> None:
    deep = folder / "0" / Path(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "x.png").write_bytes(_encoded("PNG"))
    assert _reasons(folder) == {"folder too deep": 1}


def _npz(path: Path, images: bytes, labels: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("images.npy", images)
        archive.writestr("labels.npy", labels)


def _npy(shape: str, descr: str = "'|u1'", body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + body


_LABEL = _npy("(1,)", "'<i8'", bytes(8))


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (_npy("(1000000000, 3, 32, 32)"), _LABEL),  # declares terabytes
        (_npy("(-1, 3, 32, 32)"), _LABEL),
        (_npy("(1, 3, 32, 32)", "'|O'", bytes(3072)), _LABEL),
        (_npy("(1, 3, 32, 32)", "[('a', '|u1')]", bytes(3072)), _LABEL),
        (_npy("(1, 3, 32, 32)", "__import__('os').getpid()", bytes(3072)), _LABEL),
        (_npy("(1, 3, 32, 32)", body=bytes(3072), version=b"\x02\x00"), _LABEL),
        (_npy("(1, 4, 32, 32)", body=bytes(4096)), _LABEL),
        (_npy("(1, 3, 32, 32)", body=bytes(3072)), _npy("(1,)", "'<i8'", struct.pack("<q", 10))),
        (_npy("(1, 3, 32, 32)", body=bytes(3072)), _npy("(2,)", "'<i8'", bytes(16))),
        (_npy("(1, 3, 32, 32)", body=bytes(3072)), _npy("(1,)", "'<f8'", bytes(8))),
        (_npy("(1, 3, 0, 0)"), _LABEL),
        (b"no header", _LABEL),
    ],
)
def test_lying_shards_are_refused_in_one_sentence(tmp_path: Path, images: bytes, labels: bytes) -> None:
    _npz(tmp_path / "a.npz", images, labels)
    with pytest.raises(ValueError, match=r"a\.npz") as refusal:
        read_images(tmp_path, DIGITS)
    assert "\n" not in str(refusal.value)


def test_pickled_arrays_in_a_shard_do_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (marker,)

    body = pickle.dumps(np.array([Evil()], object))
    _npz(tmp_path / "a.npz", _npy("(1,)", "'|O'", body), _LABEL)
    with pytest.raises(ValueError, match="images"):
        read_images(tmp_path, DIGITS)
    assert not marker.exists()


def test_half_written_and_encrypted_shards_are_left_out(folder: Path) -> None:
    file = folder / "a.npz"
    _npz(file, _npy("(1, 3, 32, 32)", body=bytes(3072)), _LABEL)
    whole = bytearray(file.read_bytes())
    file.write_bytes(whole[:2000])
    whole[whole.index(b"PK\x01\x02") + 8] |= 1  # says that it is encrypted
    whole[6] |= 1
    (folder / "b.npz").write_bytes(whole)
    assert _reasons(folder) == {"half-written shard": 1, "damaged shard": 1}


def test_a_packed_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evaluation.formats import shards

    monkeypatch.setattr(shards, "MAX_SET_BYTES", 10**6)
    count = 2000
    bomb = _npy(f"({count}, 3, 32, 32)", body=bytes(count * 3072))
    _npz(tmp_path / "a.npz", bomb, _npy(f"({count},)", "'|u1'", bytes(count)), zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"declares 6,144,\d+ bytes of images"):
        read_images(tmp_path, DIGITS)


def test_compressed_tensor_files_are_refused(tmp_path: Path) -> None:
    honest, bomb = tmp_path / "honest.pt", tmp_path / "bomb.pt"
    torch.save(torch.zeros(1000, 3, 32, 32), honest)
    with zipfile.ZipFile(honest) as read, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as write:
        for member in read.infolist():
            write.writestr(member.filename, read.read(member))
    assert len(read_tensor(honest, DIGITS)) == 1000
    with pytest.raises(ValueError, match=r"is compressed, which torch\.save never does"):
        read_tensor(bomb, DIGITS)


@pytest.mark.parametrize("keep", [0, 3, 100, 5000])
def test_truncated_tensor_files_are_refused(tmp_path: Path, keep: int) -> None:
    file = tmp_path / "x.pt"
    torch.save(torch.zeros(100, 3, 32, 32), file)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"x\.pt") as refusal:
        read_tensor(file, DIGITS)
    assert "\n" not in str(refusal.value)


def test_pipes_in_the_place_of_a_submission_do_not_hang(tmp_path: Path) -> None:
    for name in ("x.pt", "x.npz"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(ValueError, match="not a regular file"):
            read_images(tmp_path / name, DIGITS)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [((5_000_000, 3, 1, 1), "holds 5,000,000 images; at most"), ((1, 3, 5000, 5000), "pixels each are read")],
)
def test_too_many_or_too_large_images_in_a_shard_are_refused_unread(
    tmp_path: Path, shape: tuple[int, ...], sentence: str
) -> None:
    packed = _npy(str(shape), body=bytes(math.prod(shape)))
    _npz(tmp_path / "a.npz", packed, _npy(f"({shape[0]},)", "'|u1'", bytes(shape[0])), zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=sentence):
            read_images(tmp_path / "a.npz", DIGITS)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
