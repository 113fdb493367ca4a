"""Pilots: a few images per class of a candidate, made as a run makes them and judged on held-out training images."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, to_pixels
from evaluation.data.subset import first_of_each
from evaluation.judge.protocol import Progress
from evaluation.judge.score import judge
from evaluation.submitted.folder import read_folder
from harness.clock.launch import ROOT, Launch, Needs, Terms, environment
from harness.clock.supervisor import Clock, supervise
from harness.tuning.forecast import Pilot
from harness.tuning.successive_halving import Candidate, split_pda
from submission.worker.events import read_events

# A pilot that takes longer than this is no pilot.
LIMIT_S = 3600.0


def ignore(progress: Progress) -> None:
    """Nobody watches."""


@dataclass
class Pilots:
    """Makes and judges pilots of one generator.

    Attributes:
        challenge, generator, needs: whose.
        settings, pda: of every candidate, before its own.
        held_out: training images that pilots are judged on.
        rounds, epochs: of each judgement; the judge's seeds are the same for all candidates.
        data: folder of the real data, which the generator does not get to see.
        scratch: a folder for their images.
        seed: makes the images.
        judging: shows the progress of judging what it is told.
    """

    challenge: Challenge
    generator: str
    needs: Needs
    settings: dict[str, str]
    held_out: ImageSet
    rounds: int
    epochs: int
    data: Path | None
    scratch: Path
    seed: int = 0
    pda: int = 1
    judging: Callable[[str], AbstractContextManager[Callable[[Progress], None]]] = lambda what: nullcontext(ignore)
    _made: int = field(default=0, init=False)

    def measure(self, candidate: Candidate, sizes: Sequence[int]) -> list[Pilot]:
        """Its accuracy with each of these numbers of images per class; the smaller pilots are parts of the largest.

        Raises:
            ValueError: the generator gave fewer images than that.
        """
        images = self.make(candidate, max(sizes))
        return [Pilot(size, self.judge(candidate, first_of_each(images, size))) for size in sizes]

    def judge(self, candidate: Candidate, images: ImageSet) -> tuple[float, ...]:
        """One accuracy on the held-out images for each round."""
        what = f"{candidate.name} at IPC {len(images) / self.challenge.classes:g}"
        with self.judging(what) as on_progress:
            return judge(
                images,
                self.held_out,
                self.challenge,
                rounds=self.rounds,
                epochs=self.epochs,
                device=self.needs.device,
                on_progress=on_progress,
            ).rounds

    def make(self, candidate: Candidate, ipc: int) -> ImageSet:
        """The candidate's first `ipc` images of each class: those that a run of the same seed would begin with."""
        self._made += 1
        folder = self.scratch / f"{self._made:03d}"
        (folder / "images").mkdir(parents=True)
        events = folder / "events.jsonl"

        settings, pda = split_pda({**self.settings, **candidate.settings}, self.pda)

        def launch(clock: Clock) -> Launch:
            job = self.needs.job(
                challenge=self.challenge.name,
                generator=self.generator,
                output=str(folder / "images"),
                events=str(events),
                deadline=clock.deadline,
                seed=self.seed,
                steps=candidate.steps,
                ipc=ipc,
                pda=pda,
                settings=settings,
            )
            job.save(folder / "job.json")
            terms = Terms(folder / "images", self.challenge.name, LIMIT_S, self.seed, folder / "classes.json")
            env = environment(os.environ, terms, clock.deadline, self.data)
            return Launch([sys.executable, "-m", "submission.worker.worker", str(folder / "job.json")], env, ROOT)

        ending = supervise(launch, budget_s=LIMIT_S, log=folder / "log.txt")
        if ending.reason == "interrupted":
            raise KeyboardInterrupt
        told = read_events(events)
        if not any(event.get("end") == "ipc" for event in told):
            why = next(
                (event["detail"] for event in reversed(told) if event.get("detail")), f"see {folder / 'log.txt'}"
            )
            raise ValueError(f"{self.generator!r} with {candidate.name} did not give {ipc} images per class: {why}")
        images = to_pixels(read_folder(folder / "images", self.challenge).images, self.challenge)
        return first_of_each(images, ipc)
