"""What a run of `bench --engine ray` sends between machines, in bytes, and what packing it costs.

    python -m benchmarks.cluster.network --dataset cifar100 --generator matched --ipc 100 --data DATA

Does the steps that Ray would do on the nodes, one after another on this machine, and measures the objects that would
travel. Epochs change no object, so one is enough.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from evaluation.base.command_line import ExitCode
from evaluation.base.files import write_text
from evaluation.base.machine import this_machine
from harness.compare.engines.folders import listing, pack, unpack
from harness.compare.engines.node_steps import Result, Step, do_step
from harness.records.record import Record

RESULTS = Path(__file__).resolve().parents[1] / "results"
Value = TypeVar("Value")


def measure(options: Sequence[str], judging: Sequence[str]) -> dict[str, Any]:
    """Bytes and seconds of one run with these options of `run`; `judging` are those that say how it is judged."""
    with TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        made = _step(["harness", "run", *options, *judging, "--no-judge"], None)
        unpack_s, _ = _timed(lambda: unpack(made.files, run))
        pack_s, archive = _timed(lambda: pack(run, listing(run)))
        record = Record.load(run / "record.json")
        part = ["harness.run.part", *judging]
        trained, real = (_step([*part, *which], archive) for which in (("--round", "0"), ("--real",)))
        whole = _step(["harness", "run", *options, *judging, "--resume"], archive, trained, real)
    return {
        "images": record.images,
        "bytes": {
            "generated, node to head": len(pickle.dumps(made)),
            "the run, head to each node that judges": len(archive),
            "a round, node to head": len(pickle.dumps(trained)),
            "real images' score, node to head": len(pickle.dumps(real)),
            "record and report, node to head": len(pickle.dumps(whole)),
        },
        "seconds": {
            "unpack": unpack_s,
            "pack": pack_s,
            "generate and audit": made.seconds,
            "round": trained.seconds,
            "audit and record": whole.seconds,
        },
    }


def _step(arguments: Sequence[str], archive: bytes | None, *parts: Result) -> Result:
    result = do_step(Step("run", tuple(arguments)), archive, *parts)
    if result.exit_code != ExitCode.DONE:
        raise ValueError(f"{' '.join(arguments)} ended with exit code {result.exit_code}: {result.output}")
    return result


def _timed(work: Callable[[], Value]) -> tuple[float, Value]:
    began = time.monotonic()
    value = work()
    return time.monotonic() - began, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--generator", required=True)
    parser.add_argument("--ipc", type=int, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    judging = ["--rounds", "1", "--epochs", "1", "--device", "cpu"]
    judging += ["--data", str(given.data.resolve())] if given.data else []
    options = ["--dataset", given.dataset, "--generator", given.generator, "--ipc", str(given.ipc)]
    found = {"machine": asdict(this_machine()), "dataset": given.dataset, "ipc": given.ipc}
    found |= measure(options, judging)
    out = given.out or RESULTS / f"cluster-network-{given.dataset}.json"
    write_text(out, json.dumps(found, indent=1) + "\n")
    print(json.dumps({"bytes": found["bytes"], "seconds": found["seconds"]}, indent=1))


if __name__ == "__main__":
    main()
