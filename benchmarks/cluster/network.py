"""What one run of `bench --engine ray` sends between machines, in bytes, and what packing it costs the head.

    python -m benchmarks.cluster.network runs/mine

Packs a run that exists as the engine does (`harness/compare/engines/folders.py`). Seconds are of the processor, so that
a busy machine changes them little; waiting for the disk is not in them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from evaluation.base.challenge import get_challenge
from evaluation.base.files import write_text
from evaluation.base.machine import this_machine
from evaluation.judge.checkpoint import Checkpoint, save_checkpoint
from evaluation.judge.protocol import Protocol, Round
from harness.compare.engines.folders import listing, pack, unpack
from harness.records.record import Record
from harness.records.run_folder import RunFolder

RESULTS = Path(__file__).resolve().parents[1] / "results"
Value = TypeVar("Value")


def measure(run: RunFolder) -> dict[str, Any]:
    """Bytes and seconds of a finished run."""
    record = Record.load(run.record)
    files = listing(run.root)
    with TemporaryDirectory() as scratch:
        pack_s, whole = _timed(lambda: pack(run.root, files))
        unpack_s, _ = _timed(lambda: unpack(whole, Path(scratch) / "run"))
        images = [name for name in files if name.startswith(f"{run.images.name}/")]
        accuracies = (0.5,) * get_challenge(record.dataset).classes
        done = Round(seed=2**62, accuracy=0.5, per_class=accuracies, seconds=1.0, passes=Protocol().passes)
        trained = RunFolder(Path(scratch)).round_checkpoint(0)
        save_checkpoint(trained, 32 * "0", Checkpoint((done,), {}))
        a_round = len(pack(Path(scratch), [trained.name]))
    of_images = len(pack(run.root, images))
    return {
        "dataset": record.dataset,
        "images": len(images),
        "bytes": {
            "images": of_images,
            "record, report, log": len(whole) - of_images,
            "a round": a_round,
        },
        "seconds": {"pack": pack_s, "unpack": unpack_s},
    }


def _timed(work: Callable[[], Value]) -> tuple[float, Value]:
    began = time.process_time()
    value = work()
    return time.process_time() - began, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run with images")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = measure(RunFolder(given.run))
    out = given.out or RESULTS / f"cluster-network-{found['dataset']}.json"
    write_text(out, json.dumps({"machine": asdict(this_machine()), **found}, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
