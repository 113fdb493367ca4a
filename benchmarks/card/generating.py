"""How a card generates: every shipped generator by batch size, and the papers' models at full size beside their way."""

from __future__ import annotations

import argparse
import gc
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks import equivalence_engines, generators
from benchmarks.measuring import Result, Setup
from evaluation.base.challenge import Challenge
from submission.contract.generator import get_generator
from submission.contract.job import Job
from submission.contract.settings import COMPILE
from submission.worker.batch_size import best_size, worth_doubling
from submission.worker.measure import Bench
from submission.worker.memory import free_memory, is_out_of_memory
from submission.worker.source import Source, load_generator

SHIPPED = ("native", "distilled", "gaussian")
FIRST_BATCH, MOST = 16, 8192
PAPERS = ("sdxl-turbo", "dit")


def shipped(setup: Setup) -> Result:
    """Images a second by batch size, then with the writer behind; as it is, and compiled where it has a network."""
    found: Result = {}
    for challenge in setup.challenges:
        for name in SHIPPED:
            maker = get_generator(name)
            try:
                weights = maker.find_weights(challenge, None)
            except ValueError:
                continue  # there are none for this data set
            for compiled in ("no", "yes") if COMPILE in maker.info.settings and not setup.quick else ("no",):
                settings: dict[str, str] = {COMPILE.name: compiled} if compiled == "yes" else {}
                job = Job(
                    challenge.name, name, "", "", 0.0, device=str(setup.device), weights=str(weights), settings=settings
                )
                found[f"{name} {challenge.name} compiled={compiled}"] = _by_batch(setup, job, challenge)
                gc.collect()
                free_memory(str(setup.device))
    return found


def _by_batch(setup: Setup, job: Job, challenge: Challenge) -> Result:
    source = Source(load_generator(job, challenge), job, challenge)
    bench = Bench(source, job, challenge)
    tried: list[tuple[int, float]] = []
    peaks: dict[int, float | None] = {}
    size = FIRST_BATCH
    while worth_doubling(tried) and size <= (FIRST_BATCH if setup.quick else MOST):
        source.batch_size = size
        try:
            measured = bench.measure(size, 2, setup.seconds, source.steps)
        except Exception as error:
            if not is_out_of_memory(error) or not tried:
                raise
            break
        tried.append((size, min(measured["seconds"])))
        peaks[size] = measured["peak_memory_mb"]
        size *= 2
    source.batch_size = best_size(tried)
    with tempfile.TemporaryDirectory(prefix="first-gpu-") as folder:
        written = bench.sustain(source.batch_size, setup.seconds, folder, source.steps)
    return {
        "steps": source.steps,
        "images_per_s": {size: size / seconds for size, seconds in tried},
        "peak_memory_mb": peaks,
        "batch": source.batch_size,
        "with_the_writer": source.batch_size * len(written["batches"]) / sum(written["batches"]),
        "files_per_s_alone": 1 / written["write_s"],
    }


def papers(setup: Setup) -> Result:
    """SDXL-Turbo and DiT-XL/2 with random weights, as they are and compiled, beside the papers' pipelines."""
    options = argparse.Namespace(
        tiny=setup.quick, device=str(setup.device), seconds=setup.seconds, compile=not setup.quick
    )
    precision = "fp32" if setup.device.type == "cpu" else "bf16"
    rows: list[generators.Row] = []
    with tempfile.TemporaryDirectory(prefix="first-gpu-") as folder:
        for model in generators.MODELS:
            if model.generator in PAPERS:
                first = replace(model, settings={name: values[:1] for name, values in model.settings.items()})
                ceilings = setup.ceilings.flop_per_s
                rows += generators.measure(first, Path(folder), options, [precision], ceilings)
    return {"rows": [asdict(row) for row in rows], "speedup_over_papers": generators.ratios(rows)}


def equivalence(setup: Setup) -> Result:
    """Rounds of both engines on digits from the same seeds, and what they show."""
    with tempfile.TemporaryDirectory(prefix="first-gpu-") as folder:
        options = argparse.Namespace(
            dataset="digits",
            ipc=1 if setup.quick else 10,
            epochs=1 if setup.quick else 100,
            seeds=2 if setup.quick else 12,
            data=None,
            device=str(setup.device),
            out=Path(folder) / "equivalence.json",
        )
        return equivalence_engines.compare(options)
