"""Hashes of the images that every generator makes at seed 0: taken again, they show whether a change changed any.

    python -m benchmarks.image_hashes --data DIR
    python -m benchmarks.image_hashes --data DIR --out NEW --against benchmarks/results/image-hashes.json

Each row is one `python -m harness run` on the CPU. Networks whose published weights cannot be had are the tiny random
ones of `benchmarks.models.tiny`. Batch size and threads are fixed, since sums are rounded in another order where they
change; another processor or another version of PyTorch may round otherwise, too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.images.cases import CASES, LEFT_OUT, MODELS, NEED_DATA, Case
from evaluation.base.machine import this_machine

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parent.parent
FIXED = "--seed 0 --batch-size 8 --device cpu --budget 300s --no-judge"
THREADS = 1  # of each run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data sets")
    parser.add_argument("--out", type=Path, default=RESULTS / "image-hashes.json", help="default: %(default)s")
    parser.add_argument("--against", type=Path, help="an earlier file; exit code 1 where its rows are not found again")
    args = parser.parse_args()
    before = json.loads(args.against.read_text(encoding="utf-8")) if args.against else None
    machine = replace(this_machine(), threads=THREADS)
    rows = list(made_rows(args.data.resolve()))
    on = {"machine": asdict(machine), "commit": machine.commit, "fixed": FIXED, "left_out": LEFT_OUT}
    args.out.write_text(json.dumps({**on, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    if before is not None:
        found = differences(before["rows"], rows)
        print("\n".join(found) or f"all {len(before['rows'])} rows are as before")
        raise SystemExit(1 if found else 0)
    if len(rows) < len(CASES):
        raise SystemExit(f"{len(CASES) - len(rows)} of {len(CASES)} runs failed")


def made_rows(data: Path) -> Iterator[dict[str, Any]]:
    """The rows of the cases, one by one; for a run that fails, its output on standard error."""
    from benchmarks.models.tiny import write_all

    with tempfile.TemporaryDirectory(prefix="image-hashes-") as temporary:
        models, out = Path(temporary) / "models", Path(temporary) / "run"
        write_all(models)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SUBMISSION_")}
        # An empty cache holds no profile and no tuned steps.
        env = kept | {"OMP_NUM_THREADS": str(THREADS), "XDG_CACHE_HOME": f"{temporary}/cache", "HF_HUB_OFFLINE": "1"}
        for number, case in enumerate(CASES):
            run = out / str(number)
            arguments = f"--generator {case.generator} --dataset {case.dataset} --ipc {case.ipc} {FIXED} {case.options}"
            words = [word.replace(MODELS, str(models)) for word in shlex.split(arguments)]
            words += ["--out", str(run), *(["--data", str(data)] if case.generator in NEED_DATA else [])]
            finished = subprocess.run(
                [sys.executable, "-m", "harness", "run", *words], cwd=ROOT, env=env, capture_output=True, text=True
            )
            if finished.returncode:
                print(f"failed: {arguments}\n{finished.stdout}{finished.stderr}", file=sys.stderr, flush=True)
            else:
                row = row_of(case, run)
                print(f"{row['sha256'][:12]} {_name(row)}", file=sys.stderr, flush=True)
                yield row


def row_of(case: Case, run: Path) -> dict[str, Any]:
    """What the run of `case` in the folder `run` made."""
    files = sorted((run / "images").glob("*/*.png"))
    steps = json.loads((run / "record.json").read_text(encoding="utf-8"))["plan"]["steps"]
    row = {"generator": case.generator, "dataset": case.dataset, "settings": case.options, "ipc": case.ipc}
    return {**row, "steps": steps, "images": len(files), "sha256": hash_of(files)}


def hash_of(files: Sequence[Path]) -> str:
    """SHA-256 over the class folder and name, the shape and the decoded pixels of each file."""
    digest = hashlib.sha256()
    for file in files:
        with Image.open(file) as image:
            pixels_HWC = np.asarray(image)
        digest.update(f"{file.parent.name}/{file.name} {pixels_HWC.shape} {pixels_HWC.dtype}\n".encode())
        digest.update(pixels_HWC.tobytes())
    return digest.hexdigest()


def differences(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for each row of `before` that is missing from `after`, or is another there."""
    found = {_name(row): row for row in after}
    found_differences = []
    for row in before:
        name = _name(row)
        if name not in found:
            found_differences.append(f"{name} is missing")
        elif changed := [key for key in row if found[name].get(key) != row[key]]:
            found_differences.append(f"{name} differs in {', '.join(changed)}")
    return found_differences


def _name(row: dict[str, Any]) -> str:
    return " ".join(f"{row['generator']} on {row['dataset']}, IPC {row['ipc']} {row['settings']}".split())


if __name__ == "__main__":
    main()
