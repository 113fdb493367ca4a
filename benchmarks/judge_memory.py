"""How much memory a large judgement takes: 100,000 images of 64x64, from the folder to the first steps and the test.

    python -m benchmarks.judge_memory --data DATA

The images are the shipped `gaussian` generator's, in shards, so that the audits see a real submission. Each part of the
judgement is timed, with the highest resident memory of the process by its end; real training and test images count.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.audits.run import run_audits
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.machine import this_machine
from evaluation.data.datasets import data_folder, load_split
from evaluation.judge.draws import draw_pass
from evaluation.judge.engine import put_on_device
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.parallel import workers_for
from evaluation.judge.protocol import Protocol
from evaluation.submitted.folder import read_folder
from submission.contract.generator import Generator, LoadContext, get_generator

STEPS = 20
AIM_GB = 8.0


@dataclass(frozen=True)
class Part:
    """One part of the judgement; `peak_gb` is the highest resident memory of the process so far, 2**30 bytes."""

    name: str
    seconds: float
    peak_gb: float


def write_shards(challenge: Challenge, ipc: int, folder: Path) -> None:
    """`ipc` generated images of each class into `folder`, a shard a class."""
    maker = get_generator("gaussian")
    generator = maker.load(LoadContext(challenge, "cpu", weights=maker.find_weights(challenge, None)))
    assert isinstance(generator, Generator)
    for label in range(challenge.classes):
        seeds = torch.arange(ipc) + label * ipc
        images = generator.generate(torch.full((ipc,), label), seeds, 1)
        np.savez(folder / f"{label:03d}.npz", images=images.cpu().numpy(), labels=np.full(ipc, label))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="tiny-imagenet")
    parser.add_argument("--images", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--data", type=Path, help="folder of the real data sets (default: SUBMISSION_DATA)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--shards", type=Path, help="shards that were written before (default: made, then deleted)")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/judge-memory-<machine>.json")
    options = parser.parse_args()
    challenge = get_challenge(options.dataset)
    if options.make:
        write_shards(challenge, options.images // challenge.classes, options.make)
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.shards is None:
            make_apart(options, Path(folder))
        report = measure(challenge, options.shards or Path(folder), options.data, options.device)
    out = options.out or Path(__file__).parent / "results" / f"judge-memory-{report['machine']['label']}.json"
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"written to {out}")


def make_apart(options: argparse.Namespace, folder: Path) -> None:
    """Write the shards in a process of its own, whose memory is not the judge's."""
    command = [sys.executable, "-m", "benchmarks.judge_memory", "--make", str(folder)]
    subprocess.run([*command, "--dataset", options.dataset, "--images", str(options.images)], check=True)


def measure(challenge: Challenge, shards: Path, data: Path | None, device: str) -> dict[str, Any]:
    """Read, audit, train some steps and test, one after the other in this process."""
    parts: list[Part] = []

    @contextmanager
    def part(name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        parts.append(Part(name, time.perf_counter() - began, peak))
        print(f"{name}: {parts[-1].seconds:.0f} s, {peak:.2f} GB at most", flush=True)

    with part("load real images"):
        folder = data_folder(data)
        train, test = load_split(challenge, "train", folder), load_split(challenge, "test", folder)
    with part("read the folder"):
        contents = read_folder(shards, challenge)
    with part("audit"):
        audits = run_audits(contents, challenge, train, test)
    protocol = Protocol()
    with part("load onto the device"):
        train_set, test_set = (
            put_on_device(images, challenge, torch.device(device)) for images in (contents.images, test)
        )
    with workers_for(torch.device(device)) as workers:
        with part(f"{STEPS} steps of training"):
            engine = FastEngine(train_set, challenge.classes, protocol, expected_steps=STEPS, workers=workers)
            engine.start(seed=0)
            engine.set_rate(protocol.lr)
            draws = draw_pass(0, 0, len(train_set), protocol.batch_size).to(train_set.device)
            engine.steps(next(draws.parts(STEPS)))
        with part("test"):
            engine.predict(test_set)
    on_device = torch.cuda.max_memory_allocated(device) / 2**30 if torch.device(device).type == "cuda" else None
    return {
        "machine": asdict(this_machine(device)),
        "dataset": challenge.name,
        "images": len(contents.images),
        "parts": [asdict(each) for each in parts],
        "host_gb": parts[-1].peak_gb,
        "aim_gb": AIM_GB,
        "device_gb": on_device,
        "audits": {audit.name: audit.status for audit in audits},
    }


if __name__ == "__main__":
    main()
