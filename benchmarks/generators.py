"""Images per second of the papers' generators and of others, next to the papers' own pipelines.

    python -m benchmarks.generators                    # on a GPU: full-size models with random weights, 25 GB of disk
    python -m benchmarks.generators --tiny             # a rehearsal: tiny models, any machine, a minute
    python -m benchmarks.generators --only dit --compile

Every row is one way to run one model: the batch is doubled until two doublings gain less than 3%, or memory runs out.
`predicted_ipc` is what 600 s give after the start, with nothing kept for writing. The papers' pipelines
(`benchmarks/models/paper_pipelines.py`) are measured in the same run on the same card. Each row says what fraction of
the card's peak it reaches: operations as PyTorch counts them, over the fastest matrix product here.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.models.paper_pipelines import Pipeline, dit_pipeline, turbo_pipeline
from benchmarks.roofline import measure_ceilings
from evaluation.base.challenge import get_challenge
from evaluation.base.machine import this_machine
from submission.contract.generator import Generator, LoadContext, get_generator
from submission.contract.job import image_seed
from submission.contract.pixels import resize_uint8
from submission.contract.precision import PRECISIONS
from submission.worker.measure import synchroniser
from submission.worker.memory import free_memory, is_out_of_memory, peak_memory_mb, reset_peak

BUDGET_S = 600.0
GAIN = 1.03
MOST_IMAGES = {False: 1024, True: 8}  # by whether the models are tiny
TINY_SIZE = 4  # so many times smaller

Batch = Callable[[int], object]  # makes so many images


@dataclass(frozen=True)
class Model:
    """A generator to measure.

    Attributes:
        generator: its name.
        dataset: the challenge that it makes images for.
        steps: step counts to measure.
        settings: each setting's values; every combination is measured.
        files: under which name the model's folder lies, several generators can use the same one.
    """

    generator: str
    dataset: str
    steps: tuple[int, ...]
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


MODELS = (
    Model("sdxl-turbo", "tiny-imagenet", (1,), {"decoder": ("full", "tiny"), "size": ("512", "256")}),
    Model("dit", "tiny-imagenet", (5, 10), {"guidance": ("1", "4")}),
    Model("consistency", "tiny-imagenet", (1, 2)),
    Model("edm", "cifar100", (8, 10, 18)),
)


@dataclass(frozen=True)
class Row:
    """One way to run one model.

    Attributes:
        pipeline: `ours`, or the name of a paper's.
        start_s: seconds to load, and to compile where that was asked for.
        fraction_of_peak: of the arithmetic that a matrix product reaches in this precision; None if not counted.
        predicted_ipc: images per class in 600 s, on this machine.
    """

    generator: str
    pipeline: str
    steps: int
    precision: str
    settings: dict[str, str]
    compiled: bool
    batch: int
    images_per_s: float
    by_batch: dict[int, float]
    peak_memory_mb: float | None
    start_s: float
    fraction_of_peak: float | None
    predicted_ipc: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="tiny models: whether it runs, not how fast")
    parser.add_argument("--only", help="one generator")
    parser.add_argument(
        "--precision", default=None, help="comma-separated; default: bf16,fp16 on a GPU, else bf16,fp32"
    )
    parser.add_argument("--compile", action="store_true", help="measure compiled networks as well")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each batch size (default: %(default)s)")
    parser.add_argument("--models", type=Path, help="folder to keep the random models in; default: a temporary one")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/generators-<machine>.json")
    options = parser.parse_args()
    machine = this_machine(options.device)
    name = f"generators{'-tiny' if options.tiny else ''}-{machine.label}.json"
    out = options.out or Path(__file__).parent / "results" / name
    default = "bf16,fp32" if options.device == "cpu" else "bf16,fp16"
    precisions = (options.precision or default).split(",")
    ceilings = measure_ceilings(torch.device(options.device), [dtype_name(name) for name in precisions])
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="generators-") as temporary:
        models = options.models or Path(temporary)
        for model in MODELS:
            if options.only in (None, model.generator):
                for row in measure(model, models, options, precisions, ceilings.flop_per_s):
                    rows.append(row)
                    print(in_words(row), flush=True)
                    result = report(rows, asdict(machine), options.tiny, asdict(ceilings))
                    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {out}")


def measure(
    model: Model, models: Path, options: argparse.Namespace, precisions: list[str], flop_per_s: Mapping[str, float]
) -> Iterator[Row]:
    """Ours in every precision and setting, then the paper's pipeline."""
    folder, decoder = write_model(model.generator, models, options.tiny)
    device, seconds = options.device, options.seconds
    combinations = product(*([(name, value) for value in values] for name, values in model.settings.items()))
    for chosen, precision in product([dict(pairs) for pairs in combinations], precisions):
        if options.tiny and "size" in chosen:
            chosen = {**chosen, "size": str(int(chosen["size"]) // TINY_SIZE)}
        settings = {**chosen, "precision": precision}
        if chosen.get("decoder") == "tiny":
            settings["decoder_weights"] = str(decoder)
        for compiled in (False, True) if options.compile else (False,):
            began = time.monotonic()
            generator, batch_for = ours(model, folder, settings, device)
            if compiled:
                for network in networks(generator):
                    network.compile()
                batch_for(model.steps[0])(8)
            start_s = time.monotonic() - began
            for steps in model.steps:
                flop = count_flop(batch_for(steps))
                found = by_batch(batch_for(steps), device, seconds, doubled(MOST_IMAGES[options.tiny]))
                peak = flop_per_s[dtype_name(precision)]
                yield row(model, "ours", steps, precision, chosen, compiled, found, start_s, flop / peak)
            del generator, batch_for
            gc.collect()
            free_memory(device)
    for theirs in paper_pipelines(model.generator, folder, device, options.tiny):
        found = by_batch(theirs.make, device, seconds, (theirs.batch,))
        yield row(model, theirs.name, theirs.steps, theirs.precision, {}, False, found, theirs.start_s, None)


def dtype_name(precision: str) -> str:
    """As `benchmarks.roofline` names a setting's arithmetic."""
    return str(PRECISIONS[precision]).removeprefix("torch.")


def paper_pipelines(generator: str, folder: Path, device: str, tiny: bool) -> Iterator[Pipeline]:
    """How the papers ran their generators, of those that did."""
    if generator == "sdxl-turbo":
        yield turbo_pipeline(folder, device, 512 // TINY_SIZE if tiny else 512)
    if generator == "dit":
        for batch, steps in product((1, 32), (5, 10)):
            yield dit_pipeline(folder, device, batch, steps)


def ours(
    model: Model, folder: Path, settings: Mapping[str, str], device: str
) -> tuple[Generator, Callable[[int], Batch]]:
    """The generator as the worker loads it, and what makes so many images in so many steps at the challenge's size."""
    challenge = get_challenge(model.dataset)
    maker = get_generator(model.generator)
    maker.resolve_settings(settings)
    weights = maker.find_weights(challenge, str(folder))
    generator = maker.load(LoadContext(challenge, device, weights, settings=settings))
    assert isinstance(generator, Generator), "selectors are not measured here"

    def batch_for(steps: int) -> Batch:
        def make(images: int) -> object:
            labels = [index % challenge.classes for index in range(images)]
            seeds = [image_seed(0, label, index) for index, label in enumerate(labels)]
            made = generator.generate(torch.tensor(labels), torch.tensor(seeds), steps)
            return resize_uint8(made, challenge.size).cpu()

        return make

    return generator, batch_for


def by_batch(make: Batch, device: str, seconds: float, sizes: Iterable[int]) -> dict[int, tuple[float, float]]:
    """Images a second and peak memory by batch size, of `sizes` in turn as long as the next one pays."""
    found: dict[int, tuple[float, float]] = {}
    synchronise = synchroniser(device)
    for size in sizes:
        reset_peak(device)
        try:
            make(size)
            synchronise()
            began, made = time.monotonic(), 0
            while time.monotonic() - began < seconds or made < 2 * size:
                make(size)
                made += size
            synchronise()
        except Exception as error:
            if not is_out_of_memory(error) or not found:
                raise
            break
        finally:
            free_memory(device)
        found[size] = (made / (time.monotonic() - began), peak_memory_mb(device) or 0.0)
        speeds = [speed for speed, _ in found.values()]
        if len(speeds) > 2 and max(speeds[-2:]) < GAIN * max(speeds[:-2]):
            break
    return found


def doubled(most: int) -> list[int]:
    """1, 2, 4 and so on."""
    return [2**power for power in range(most.bit_length()) if 2**power <= most]


def row(
    model: Model,
    pipeline: str,
    steps: int,
    precision: str,
    settings: Mapping[str, str],
    compiled: bool,
    found: Mapping[int, tuple[float, float]],
    start_s: float,
    seconds_at_peak: float | None,
) -> Row:
    batch = max(found, key=lambda size: found[size][0])
    speed, memory = found[batch]
    classes = get_challenge(model.dataset).classes
    return Row(
        generator=model.generator,
        pipeline=pipeline,
        steps=steps,
        precision=precision,
        settings=dict(settings),
        compiled=compiled,
        batch=batch,
        images_per_s=speed,
        by_batch={size: speed for size, (speed, _) in found.items()},
        peak_memory_mb=memory or None,
        start_s=start_s,
        fraction_of_peak=None if seconds_at_peak is None else seconds_at_peak * speed,
        predicted_ipc=max(0.0, BUDGET_S - start_s) * speed / classes,
    )


def count_flop(make: Batch) -> float:
    """Floating-point operations of one image, a multiply-add as two."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        make(2)
    return counter.get_total_flops() / 2


def networks(generator: object) -> list[nn.Module]:
    """The networks that a generator holds, in whatever objects of its own."""
    found = []
    for value in vars(generator).values():
        if isinstance(value, nn.Module):
            found.append(value)
        elif type(value).__module__.startswith("submission."):
            found.extend(networks(value))
    return found


def write_model(generator: str, models: Path, small: bool) -> tuple[Path, Path]:
    """The folder of a model with random weights, and that of SDXL-Turbo's tiny decoder; written if not there yet."""
    from benchmarks.models import full_size, tiny

    source: Any = tiny if small else full_size
    write = {
        "sdxl-turbo": source.write_sdxl,
        "dit": source.write_dit,
        "consistency": source.write_consistency,
        "edm": source.write_edm_cifar100,
    }[generator]
    folder, decoder = models / generator, models / "tiny-decoder"
    if not folder.exists():
        write(folder)
    if generator == "sdxl-turbo" and not decoder.exists():
        source.write_tiny_decoder(decoder)
    return folder, decoder


def report(rows: list[Row], machine: Mapping[str, Any], tiny: bool, ceilings: Mapping[str, Any]) -> dict[str, Any]:
    """The whole file."""
    return {
        "machine": machine,
        "tiny": tiny,
        "budget_s": BUDGET_S,
        "ceilings": ceilings,
        "rows": [asdict(row) for row in rows],
        "speedup_over_papers": ratios(rows),
    }


def ratios(rows: list[Row]) -> list[dict[str, Any]]:
    """For each of the papers' rows the fastest of ours with as many steps, and how many times as fast it is."""
    found = []
    for theirs in rows:
        own = [row for row in rows if row.pipeline == "ours" and row.generator == theirs.generator]
        same = [row for row in own if row.steps == theirs.steps]
        if theirs.pipeline != "ours" and same:
            best = max(same, key=lambda row: row.images_per_s)
            fastest = {"precision": best.precision, **best.settings, "compiled": best.compiled, "batch": best.batch}
            ratio = best.images_per_s / theirs.images_per_s
            found.append(
                {
                    "generator": theirs.generator,
                    "pipeline": theirs.pipeline,
                    "steps": theirs.steps,
                    "ours": fastest,
                    "times": ratio,
                }
            )
    return found


def in_words(row: Row) -> str:
    settings = " ".join(f"{name}={value}" for name, value in row.settings.items())
    fraction = "" if row.fraction_of_peak is None else f", {row.fraction_of_peak:.0%} of the peak"
    compiled = " compiled" if row.compiled else ""
    return (
        f"{row.generator} {row.pipeline}{compiled} {row.steps} steps {row.precision} {settings}:"
        f" {row.images_per_s:.4g} images/s at batch {row.batch}{fraction}; IPC {row.predicted_ipc:.4g} in 600 s"
    )


if __name__ == "__main__":
    main()
