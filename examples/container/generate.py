"""The smallest generator in a container: noise, a hundred images for each class, or fewer if the clock ends it."""

import json
import os
import struct
import zlib
from pathlib import Path

SIDE = 32
classes = json.loads(Path(os.environ["SUBMISSION_CLASSES"]).read_text())  # names in label order
output = Path(os.environ["SUBMISSION_OUTPUT"])
folders = [output / f"{label:03d}" for label in range(len(classes))]
for folder in folders:
    folder.mkdir()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


START = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
for index in range(100):
    for folder in folders:
        rows = b"".join(b"\0" + os.urandom(3 * SIDE) for _ in range(SIDE))  # your model's image goes here
        pixels = chunk(b"IDAT", zlib.compress(rows, 1))
        (folder / f"{index:06d}.png").write_bytes(START + pixels + chunk(b"IEND", b""))
