"""Does the fast engine score as the reference does? Rounds of both from the same seeds, and two one-sided tests.

    python -m benchmarks.equivalence_engines --dataset digits --seeds 12
    python -m benchmarks.equivalence_engines --dataset cifar100 --ipc 5 --epochs 40 --seeds 12

The engines are equivalent if the mean difference of their accuracies lies within 0.5 points either way with 95%
confidence: a test that fails for lack of evidence, unlike one for a difference. Seeds are paired, since both engines
make the same draws of a seed. Each round is saved as it is done; the same command continues where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from evaluation.base.challenge import get_challenge
from evaluation.base.files import write_text
from evaluation.base.images import first_of_each
from evaluation.base.machine import this_machine
from evaluation.data.datasets import data_folder, load_split
from evaluation.judge.draws import round_seed
from evaluation.judge.engine import put_on_device
from evaluation.judge.parallel import workers_for
from evaluation.judge.protocol import Protocol
from evaluation.judge.rounds import ENGINES, train_round

MARGIN = 0.005
LEVEL = 0.05


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t-tests on paired differences of accuracies.

    Attributes:
        pairs: how many differences.
        mean_difference: a fraction.
        interval90: of the mean difference; inside the margin just when the tests pass at 5%.
        margin: what counts as equivalent.
        p: the larger of the two p-values.
        equivalent: p below 5%.
    """

    pairs: int
    mean_difference: float
    interval90: tuple[float, float]
    margin: float
    p: float
    equivalent: bool


def two_one_sided_tests(differences: Sequence[float], margin: float = MARGIN) -> Equivalence:
    """Raises ValueError for fewer than two differences."""
    from scipy.stats import t

    if len(differences) < 2:
        raise ValueError(f"two one-sided tests need at least 2 pairs, not {len(differences)}")
    mean, freedom = fmean(differences), len(differences) - 1
    # Differences of whole test images: if all are equal, their std is below one image's worth, not zero.
    error = max(stdev(differences), 1e-6) / sqrt(len(differences))
    p = float(max(t.sf((margin + mean) / error, freedom), t.sf((margin - mean) / error, freedom)))
    reach = float(t.ppf(1 - LEVEL, freedom)) * error
    return Equivalence(len(differences), mean, (mean - reach, mean + reach), margin, p, p < LEVEL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--ipc", type=int, default=10, help="real training images per class (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=12, help="rounds of each engine (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder of the real data sets (default: SUBMISSION_DATA)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/equivalence-<dataset>-<machine>.json")
    options = parser.parse_args()
    try:
        compare(options)
    except ValueError as error:
        parser.error(str(error))


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Train what is missing of the rounds, and say what all of them show; returns what is in the file."""
    challenge, machine = get_challenge(options.dataset), this_machine(options.device)
    setting = {"dataset": challenge.name, "ipc": options.ipc, "epochs": options.epochs, "device": options.device}
    out = options.out or Path(__file__).parent / "results" / f"equivalence-{challenge.name}-{machine.label}.json"
    report = _begun(out, setting) or {"setting": setting, "accuracies": {name: {} for name in ENGINES}}
    report["machine"] = asdict(machine)
    accuracies: dict[str, dict[str, float]] = report["accuracies"]

    data, protocol = data_folder(options.data), Protocol(epochs=options.epochs)
    train = first_of_each(load_split(challenge, "train", data), options.ipc)
    train_set, test_set = (
        put_on_device(images, challenge, torch.device(options.device))
        for images in (train, load_split(challenge, "test", data))
    )
    steps = options.seeds * protocol.passes * protocol.steps_per_pass(len(train))
    with workers_for(torch.device(options.device)) as workers:
        engines = {
            name: engine(train_set, challenge.classes, protocol, expected_steps=steps, workers=workers)
            for name, engine in ENGINES.items()
        }
        for index in range(options.seeds):
            for name, engine in engines.items():
                if str(index) in accuracies[name]:
                    continue
                done = train_round(engine, test_set, round_seed(0, index))
                accuracies[name][str(index)] = done.accuracy
                print(f"seed {index}: {name:9} {done.accuracy:.4f} in {done.seconds:.0f} s", flush=True)
                _conclude(report)
                _save(report, out)
    if conclusion := report.get("equivalence"):
        low, high = (100 * bound for bound in conclusion["interval90"])
        word = "equivalent" if conclusion["equivalent"] else "not shown to be equivalent"
        print(
            f"fast minus reference: {100 * conclusion['mean_difference']:+.2f} points, 90% interval {low:+.2f} to "
            f"{high:+.2f}, {conclusion['pairs']} pairs: {word} within {100 * MARGIN} points (p = {conclusion['p']:.2g})"
        )
    return report


def _begun(out: Path, setting: dict[str, Any]) -> dict[str, Any] | None:
    """The report in `out`, None where there is none.

    Raises:
        ValueError: it is about another setting.
    """
    if not out.exists():
        return None
    report: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    if report["setting"] != setting:
        raise ValueError(f"{out} holds another setting, {report['setting']}: name another file with --out")
    return report


def _conclude(report: dict[str, Any]) -> None:
    fast, reference = (report["accuracies"][name] for name in ENGINES)
    differences = [fast[seed] - reference[seed] for seed in fast if seed in reference]
    if len(differences) > 1:
        report["equivalence"] = asdict(two_one_sided_tests(differences))


def _save(report: dict[str, Any], out: Path) -> None:
    write_text(out, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
