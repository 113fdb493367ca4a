"""Runs on a Ray cluster: generations and rounds as tasks of their own; what is lost with a node is done again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from evaluation.base.challenge import get_challenge
from evaluation.base.command_line import ExitCode
from harness.compare.engines.cluster import Share, check_nodes, joined, kinds_of_cards, share_of
from harness.compare.engines.engine import Done, RunTask, last_line
from harness.compare.engines.folders import listing, pack, unpack
from harness.compare.engines.node_steps import Result, Step, do_step
from harness.records.record import Record
from harness.records.run_folder import RunFolder
from harness.run.judging import REAL

# how often what a node took with it is done again
MOST_LOSSES = 3
# runs under way for each place, so that no place waits for the next
_RUNS_PER_PLACE = 2
_LOOK_EVERY_S = 1.0
# what was cancelled stops its generator and removes its folder
_CANCEL_WITHIN_S = 30.0


@dataclass(frozen=True)
class RayEngine:
    """A Ray cluster; `say` is told what is done again, and why.

    Attributes:
        address: HOST:PORT of the cluster's head, of which this machine is a node; None for RAY_ADDRESS, or a cluster
            of this machine alone.
        device, data: of all runs.
    """

    address: str | None
    device: str
    data: str | None
    say: Callable[[str], None]

    def run(self, tasks: Sequence[RunTask], on_done: Callable[[Done], None]) -> None:
        """As `Engine.run`. Raises ValueError where the cluster cannot be joined, or a node cannot do the work."""
        if not tasks:
            return
        with joined(self.address) as ray:
            share = share_of(ray.nodes(), self.device)
            check_nodes(ray, share, sorted({task.dataset for task in tasks}), self.data)
            self.say(f"Ray: {share}.")
            if share.num_gpus and len(kinds := kinds_of_cards(ray.nodes())) > 1:
                self.say(f"Cards of several kinds ({', '.join(kinds)}): seconds on one do not compare with another's.")
            _Work(ray, share, self.device, self.say, on_done).do(tasks)


@dataclass(frozen=True)
class _Stage:
    """What a run waits for: its images, which may have been lost so often, or its record."""

    task: RunTask
    generates: bool
    losses: int = 0


@dataclass
class _Work:
    """The runs of one benchmark on a cluster.

    Attributes:
        waits: what each run under way waits for, by the object that Ray will have.
        parts: rounds and judgements of real images that runs under way wait for.
        baselines: of real images, by data set and images per class; kept for later runs.
    """

    ray: ModuleType
    share: Share
    device: str
    say: Callable[[str], None]
    on_done: Callable[[Done], None]
    waits: dict[Any, _Stage] = field(default_factory=dict)
    parts: dict[str, list[Any]] = field(default_factory=dict)
    baselines: dict[tuple[str, int], Any] = field(default_factory=dict)

    def do(self, tasks: Sequence[RunTask]) -> None:
        waiting = deque(tasks)
        try:
            while waiting or self.waits:
                while waiting and len(self.waits) < _RUNS_PER_PLACE * self.share.places:
                    self.generate(waiting.popleft())
                ready, _ = self.ray.wait(list(self.waits), timeout=_LOOK_EVERY_S)
                for each in ready:
                    self.ended(each, self.waits.pop(each))
        except BaseException:
            self.cancel()
            raise

    def start(self, task: RunTask, arguments: Sequence[str], *given: Any, retries: int = MOST_LOSSES) -> Any:
        """A task of Ray's that does a step of the run, once more for each loss of its node up to `retries`."""
        step = self.ray.remote(do_step).options(
            num_cpus=self.share.num_cpus, num_gpus=self.share.num_gpus, max_retries=retries
        )
        return step.remote(Step(task.folder.name, tuple(arguments)), *given)

    def generate(self, task: RunTask, losses: int = 0) -> None:
        """Make the images, or count those that a run which goes on has; then audit them."""
        resumed = ["--resume"] if task.goes_on else []
        archive = self.put(task) if task.goes_on else None
        # not retried by Ray, which would not tell that a new clock has begun
        made = self.start(task, ["harness", "run", *task.options, "--no-judge", *resumed], archive, retries=0)
        self.waits[made] = _Stage(task, generates=True, losses=losses)

    def put(self, task: RunTask) -> Any:
        """The run's folder as an object of the cluster. A judgement that has moved starts again."""
        names = (name for name in listing(task.folder) if not name.endswith(".ckpt"))
        return self.ray.put(pack(task.folder, names))

    def judge(self, task: RunTask, record: Record) -> None:
        """Judge the images: each round, real images where that has not been done, and the record from these."""
        archive = self.put(task)
        part = ["harness.run.part", *task.judging]
        rounds = [self.start(task, [*part, "--round", str(index)], archive) for index in range(task.rounds)]
        parts = [*rounds, *self.baseline(task, record, archive)]
        self.parts[task.name] = parts
        whole = self.start(task, ["harness", "run", *task.options, "--resume"], archive, *parts)
        self.waits[whole] = _Stage(task, generates=False)

    def baseline(self, task: RunTask, record: Record, archive: Any) -> list[Any]:
        """As many random real images judged, once for all runs; none where the run's own are such."""
        if record.generator == REAL:
            return []
        key = task.dataset, round(record.images / get_challenge(task.dataset).classes)
        if key not in self.baselines:
            self.baselines[key] = self.start(task, ["harness.run.part", *task.judging, "--real"], archive)
        return [self.baselines[key]]

    def ended(self, reference: Any, stage: _Stage) -> None:
        """A step has ended, one way or another: keep what it left, and start what is next."""
        task, ray = stage.task, self.ray
        try:
            result: Result = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            self.fail(task, f"a fault on a node: {last_line(str(error))}")
            return
        except ray.exceptions.RayError as error:
            why = str(error).strip().splitlines()[0]
            if not stage.generates or stage.losses == MOST_LOSSES:
                self.fail(task, f"lost with its node {MOST_LOSSES + 1} times: {why}")
                return
            self.say(f"{task.name}: lost with its node; it starts again, with a new clock where it was generating.")
            self.generate(task, stage.losses + 1)
            return
        self.keep(task, result)
        if stage.generates and result.exit_code == ExitCode.DONE:
            record = Record.load(RunFolder(task.folder).record)
            if not task.goes_on:
                command = ["python", "-m", "harness", "run", *task.arguments]
                record = record.model_copy(update={"restarts": stage.losses, "command": command})
                record.save(RunFolder(task.folder).record)
            self.judge(task, record)
            return
        self.parts.pop(task.name, None)
        self.on_done(Done(task, result.exit_code, last_line(result.output)))

    def keep(self, task: RunTask, result: Result) -> None:
        """Write into the run's folder and log what a step left."""
        unpack(result.files, task.folder)
        for name in result.gone:
            (task.folder / name).unlink(missing_ok=True)
        with task.log.open("a", encoding="utf-8") as log:
            log.write(f"[on {result.node}, {result.seconds:.1f} s]\n{result.output}")

    def fail(self, task: RunTask, sentence: str) -> None:
        """A run that the cluster could not do; a later one tries its real images anew."""
        self.parts.pop(task.name, None)
        self.baselines.clear()
        with task.log.open("a", encoding="utf-8") as log:
            log.write(f"Error: {sentence}\n")
        self.on_done(Done(task, ExitCode.OUR_FAULT, sentence))

    def cancel(self) -> None:
        """End what is under way, and leave nothing of it on the nodes."""
        started = [*self.waits, *(part for parts in self.parts.values() for part in parts)]
        for each in started:
            with suppress(self.ray.exceptions.RayError):
                self.ray.cancel(each)
        if started:
            with suppress(self.ray.exceptions.RayError):
                self.ray.wait(list(dict.fromkeys(started)), num_returns=len(set(started)), timeout=_CANCEL_WITHIN_S)
