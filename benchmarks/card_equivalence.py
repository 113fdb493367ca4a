"""Whether `--as` tells the truth: the same submission run as a card elsewhere, and on that card itself.

    python -m harness --dataset cifar100 --generator native --as rtx4090 --ipc none --no-judge --out elsewhere
    python -m harness --dataset cifar100 --generator native --ipc none --no-judge --out there     # on the RTX 4090
    python -m benchmarks.card_equivalence elsewhere there

Exit code 1 where the card's own images lie outside what the estimate's interval allows. Two cards in one machine do as
well: choose with CUDA_VISIBLE_DEVICES.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.records.record import Record
from harness.records.run_folder import RunFolder


@dataclass(frozen=True)
class Check:
    """An estimate compared with the card itself.

    Attributes:
        estimated, low, high: images that the run elsewhere stands for, and its interval's ends.
        made: images of the run on the card itself.
        error: estimated over made, minus 1.
        inside: whether `made` lies in the interval.
    """

    dataset: str
    generator: str
    card: str
    estimated: int
    low: float
    high: float
    made: int
    error: float
    inside: bool


def check(estimate: Record, actual: Record) -> Check:
    """Compare two runs of the same submission.

    Raises:
        ValueError: one of them is not what it must be; the sentence says which.
    """
    other = estimate.other_card
    if other is None:
        raise ValueError("the first run is no estimate; make it with --as")
    if actual.other_card is not None:
        raise ValueError("the second run is an estimate too; make it on the card itself, without --as")
    for what, here, there in (
        ("data set", estimate.dataset, actual.dataset),
        ("generator", estimate.generator, actual.generator),
        ("budget", other.budget, actual.budget_s),
        ("settings", estimate.settings, actual.settings),
    ):
        if here != there:
            raise ValueError(f"the runs differ in their {what}: {here} and {there}; repeat one of them")
    if not estimate.images or not actual.images:
        raise ValueError("one of the runs has no images; there is nothing to compare")
    for run in (estimate, actual):
        if run.clock is not None and run.clock.ended_by != "clock":
            raise ValueError(f"a run was ended by something else than the clock ({run.clock.ended_by}); use --ipc none")
    low, high = other.interval
    least, most = estimate.images * other.ratio / high, estimate.images * other.ratio / low
    return Check(
        dataset=estimate.dataset,
        generator=estimate.generator,
        card=other.card,
        estimated=estimate.images,
        low=least,
        high=most,
        made=actual.images,
        error=estimate.images / actual.images - 1,
        inside=least <= actual.images <= most,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("estimate", type=Path, help="folder of the run with --as")
    parser.add_argument("actual", type=Path, help="folder of the run on the card itself")
    options = parser.parse_args()
    try:
        records = [Record.load(RunFolder(folder).record) for folder in (options.estimate, options.actual)]
        found = check(*records)
    except ValueError as error:
        sys.exit(f"Error: {error}")
    print(json.dumps(asdict(found), indent=2))
    sys.exit(0 if found.inside else 1)


if __name__ == "__main__":
    main()
