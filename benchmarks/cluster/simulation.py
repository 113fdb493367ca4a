"""Where the time goes when a cluster benchmarks 10,000 submissions: a simulation of `bench --engine ray`.

    python -m benchmarks.cluster.simulation --cards 8 64 256 1024

Discrete events with the engine's own rules: a card has one task at a time, first come, first served; twice as many runs
are under way as there are cards; a run is generated, travels through the head to those that judge it, is judged round
by round, and put together. A card that fails takes its task with it: a generation starts again with a new clock, a
round from its beginning. The head has one thread and one link. Sizes and packing times are measured (`network.py`);
the others are assumed, as `Assumed` says.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from evaluation.base.files import write_text
from evaluation.base.machine import this_machine

RESULTS = Path(__file__).resolve().parents[1] / "results"


@dataclass(frozen=True)
class Measured:
    """Of one run, by `network.py`: bytes that travel, and seconds that the head packs and unpacks."""

    run_bytes: int
    results_bytes: int
    head_s: float


@dataclass(frozen=True)
class Assumed:
    """What no measurement says yet: seconds on a card, and the cluster.

    Attributes:
        generate_s: the budget; every submission uses all of it.
        round_s: of the full protocol at IPC 100, the goal of docs/judge-speed.md.
        start_s: to start a process of the harness and load the data, in each step.
        audit_s: of the audits, which the first and the last step do.
        rounds: of each judgement.
        hours_between_failures: of one card, exponentially distributed.
        repair_s: until its node is back.
        head_bytes_per_s: of the head's link, each way.
    """

    generate_s: float = 600.0
    round_s: float = 40.0
    start_s: float = 10.0
    audit_s: float = 20.0
    rounds: int = 3
    hours_between_failures: float = 500.0
    repair_s: float = 900.0
    head_bytes_per_s: float = 1.25e9


@dataclass
class _Task:
    """Something that a card does: its parts by what they are for, and what follows when it is done."""

    parts: dict[str, float]
    then: Callable[[], None]

    @property
    def seconds(self) -> float:
        return sum(self.parts.values())


@dataclass
class Simulation:
    """`submissions` on `cards`; after `run`, `spent` holds card-seconds by what they went into."""

    cards: int
    submissions: int
    measured: Measured
    assumed: Assumed
    seed: int = 0
    now: float = 0.0
    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    failures: int = 0
    done: int = 0
    head_busy_s: float = 0.0
    link_busy_s: float = 0.0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._queue: deque[_Task] = deque()
        self._free = self.cards
        self._head_free = self._link_free = 0.0
        self._started = 0

    def run(self) -> None:
        for _ in range(2 * self.cards):
            self._start_next()
        while self._events:
            self.now, _, happens = heapq.heappop(self._events)
            happens()
        self.spent["idle"] = self.cards * self.now - sum(self.spent.values())

    def _at(self, moment: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._order), happens))

    def _start_next(self) -> None:
        if self._started < self.submissions:
            self._started += 1
            cost = self.assumed
            parts = {"starting": cost.start_s, "generating": cost.generate_s, "auditing": cost.audit_s}
            self._submit(_Task(parts, self._travels))

    def _submit(self, task: _Task) -> None:
        self._queue.append(task)
        self._assign()

    def _assign(self) -> None:
        while self._free and self._queue:
            self._free -= 1
            self._work(self._queue.popleft())

    def _work(self, task: _Task) -> None:
        fails_after = self._random.expovariate(1 / (3600 * self.assumed.hours_between_failures))
        if fails_after < task.seconds:
            self.failures += 1
            self.spent["lost with a card"] += fails_after
            self.spent["repairing"] += self.assumed.repair_s
            self._at(self.now + fails_after, lambda: self._submit(task))
            self._at(self.now + fails_after + self.assumed.repair_s, self._release)
            return
        for part, seconds in task.parts.items():
            self.spent[part] += seconds

        def ends() -> None:
            self._release()
            task.then()

        self._at(self.now + task.seconds, ends)

    def _release(self) -> None:
        self._free += 1
        self._assign()

    def _travels(self) -> None:
        """The run goes to the head, is unpacked and packed there, and goes out to each task that judges it."""
        goes_out = (self.assumed.rounds + 1) * self.measured.run_bytes
        arrives = self._over_link(self.measured.run_bytes)
        packed = self._on_head(arrives, self.measured.head_s)
        self._at(packed, lambda: self._at(self._over_link(goes_out), self._judge))

    def _over_link(self, bytes_: float) -> float:
        seconds = bytes_ / self.assumed.head_bytes_per_s
        self.link_busy_s += seconds
        self._link_free = max(self.now, self._link_free) + seconds
        return self._link_free

    def _on_head(self, moment: float, seconds: float) -> float:
        self.head_busy_s += seconds
        self._head_free = max(moment, self._head_free) + seconds
        return self._head_free

    def _judge(self) -> None:
        cost, left = self.assumed, [self.assumed.rounds]

        def round_done() -> None:
            left[0] -= 1
            if not left[0]:
                self._submit(_Task({"starting": cost.start_s, "auditing": cost.audit_s}, self._finished))

        for _ in range(cost.rounds):
            self._submit(_Task({"starting": cost.start_s, "judging": cost.round_s}, round_done))

    def _finished(self) -> None:
        self._over_link(self.measured.results_bytes)
        self.done += 1
        self._start_next()


def summary(simulated: Simulation) -> dict[str, Any]:
    """Hours, and where the time of cards and head went as fractions."""
    whole = simulated.cards * simulated.now
    return {
        "cards": simulated.cards,
        "hours": round(simulated.now / 3600, 2),
        "card_hours": round(whole / 3600, 1),
        "submissions_per_hour": round(simulated.done / simulated.now * 3600, 1),
        "failures": simulated.failures,
        "share_of_card_time": {name: round(spent / whole, 4) for name, spent in sorted(simulated.spent.items())},
        "share_of_time_the_head_packs": round(simulated.head_busy_s / simulated.now, 4),
        "share_of_time_its_link_is_busy": round(simulated.link_busy_s / simulated.now, 4),
    }


def read_measured(path: Path, images: int) -> Measured:
    """Of a run with so many images, from a result of `network.py`: what images cost grows with their number."""
    found = json.loads(path.read_text(encoding="utf-8"))
    sizes, times = found["bytes"], images / found["images"]
    return Measured(
        run_bytes=round(sizes["images"] * times) + sizes["record, report, log"],
        results_bytes=sizes["record, report, log"],
        head_s=(found["seconds"]["unpack"] + found["seconds"]["pack"]) * times,
    )


def table(rows: Sequence[dict[str, Any]]) -> str:
    """In Markdown."""
    names = sorted({name for row in rows for name in row["share_of_card_time"]})
    columns = ["cards", "hours", "submissions/h", *names, "head packs", "head's link"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows:
        shares = [row["share_of_card_time"].get(name, 0.0) for name in names]
        shares += [row["share_of_time_the_head_packs"], row["share_of_time_its_link_is_busy"]]
        cells = [f"{row['cards']:,}", f"{row['hours']:g}", f"{row['submissions_per_hour']:,.0f}"]
        lines.append(f"| {' | '.join([*cells, *(f'{100 * share:.1f}%' for share in shares)])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, nargs="+", default=[8, 64, 256, 1024])
    parser.add_argument("--submissions", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=10_000, help="of each submission")
    parser.add_argument("--network", type=Path, default=RESULTS / "cluster-network-cifar100.json")
    parser.add_argument("--out", type=Path, default=RESULTS / "cluster-simulation.json")
    given = parser.parse_args()
    measured, assumed = read_measured(given.network, given.images), Assumed()
    rows = []
    for cards in given.cards:
        simulated = Simulation(cards, given.submissions, measured, assumed)
        simulated.run()
        rows.append(summary(simulated))
    told = {
        "submissions": given.submissions,
        "images": given.images,
        "measured": asdict(measured),
        "assumed": asdict(assumed),
        "rows": rows,
    }
    write_text(given.out, json.dumps({"machine": asdict(this_machine()), **told}, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
