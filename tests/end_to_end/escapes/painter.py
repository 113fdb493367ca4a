"""What the hostile generators here share: valid PNG images of noise, written without any library.

They are run as programs, as a competitor's would be, and know only what the environment tells them.
"""

import json
import os
import random
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

OUTPUT = Path(os.environ["SUBMISSION_OUTPUT"])
CLASS_NAMES: list[str] = json.loads(Path(os.environ["SUBMISSION_CLASSES"]).read_text(encoding="utf-8"))
SEED = int(os.environ["SUBMISSION_SEED"])
SIZE = 64 if os.environ["SUBMISSION_DATASET"] == "tiny-imagenet" else 32


def png(label: int, index: int) -> bytes:
    """Image `index` of class `label`: 8-bit RGB noise, the same for the same seed."""
    noise = random.Random(f"{SEED}/{label}/{index}")
    rows = b"".join(b"\0" + noise.randbytes(3 * SIZE) for _ in range(SIZE))  # each row begins with its filter, none
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def path(label: int, index: int) -> Path:
    """Where the image belongs; its class folder is there afterwards."""
    name = re.sub(r"[^a-z0-9]+", "_", CLASS_NAMES[label].lower()).strip("_")
    folder = OUTPUT / f"{label:03d}-{name}"
    folder.mkdir(exist_ok=True)
    return folder / f"{index:06d}.png"


def paint(label: int, index: int) -> None:
    """Write one image in place, so that a kill can leave half of it."""
    path(label, index).write_bytes(png(label, index))


def paint_each_class(index: int = 0) -> None:
    for label in range(len(CLASS_NAMES)):
        paint(label, index)


def paint_for_ever(first_index: int) -> Iterator[None]:
    """Paint one more image of each class at each step."""
    for index in count(first_index):
        paint_each_class(index)
        yield


def leave_a_painter_behind(first_index: int) -> None:
    """Start a process that has left the family and the session, and paints for ever."""
    sys.stdout.flush()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for _ in paint_for_ever(first_index):
                pass
        os._exit(0)
    os.wait()
