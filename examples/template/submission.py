"""The submission: images of every class in turn, each written whole, until the deadline is near."""

from __future__ import annotations

import json
import os
import time
from itertools import count
from pathlib import Path

from model import Model
from PIL import Image

STOP_BEFORE_S = 0.5  # what is written after the deadline does not count; the kill then costs nothing


def main() -> None:
    deadline = float(os.environ["SUBMISSION_DEADLINE_MONOTONIC"])  # on this machine's time.monotonic()
    class_names = json.loads(Path(os.environ["SUBMISSION_CLASSES"]).read_text(encoding="utf-8"))  # in label order
    output, run_seed = Path(os.environ["SUBMISSION_OUTPUT"]), int(os.environ["SUBMISSION_SEED"])
    folders = [output / f"{label:03d}" for label in range(len(class_names))]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    model = Model(os.environ["SUBMISSION_DATASET"], class_names)
    batch_s = 0.0
    for index in count():
        if time.monotonic() + 2 * batch_s + STOP_BEFORE_S > deadline:
            return
        began = time.monotonic()
        pictures = model.generate(range(len(class_names)), seed=1_000_003 * run_seed + index)
        for folder, picture in zip(folders, pictures, strict=True):
            half = folder / f".{index:06d}.part"  # hidden files are no images, so half of one is never read
            Image.fromarray(picture).save(half, format="png")
            half.rename(folder / f"{index:06d}.png")
        batch_s = max(batch_s, time.monotonic() - began)


if __name__ == "__main__":
    main()
