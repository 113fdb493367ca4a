"""Pilots: a few images per class of a candidate, made as a run makes them and judged on held-out training images."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, denormalise, first_of_each
from evaluation.judge.protocol import Progress
from evaluation.judge.score import judge
from evaluation.submitted.folder import read_folder
from harness.clock.launch import Launch, Terms, environment, launch_worker
from harness.clock.supervisor import Clock, supervise
from harness.tuning.forecast import Pilot
from harness.tuning.successive_halving import Candidate, split_pda
from submission.contract.job import Job, read_events

# No pilot takes longer than this.
LIMIT_S = 3600.0


@dataclass(frozen=True)
class Pilots:
    """Makes and judges pilots of one generator.

    Attributes:
        job: for all candidates: generator, challenge, weights, device, settings, PDA and seed.
        held_out: training images that pilots are judged on.
        rounds, epochs: of each judgement; the judge's seeds are the same for all candidates.
        data: folder of the real data, which the generator does not get to see.
        judging: shows the progress of judging; called with what is judged.
    """

    job: Job
    held_out: ImageSet
    rounds: int
    epochs: int
    data: Path | None
    scratch: Path
    judging: Callable[[str], AbstractContextManager[Callable[[Progress], None]]]

    def measure(self, candidate: Candidate, sizes: Sequence[int]) -> list[Pilot]:
        """Its accuracy with each of these numbers of images per class; the smaller pilots are parts of the largest.

        Raises ValueError where the generator gave fewer images than that.
        """
        name, images = candidate.name, self.make(candidate, max(sizes))
        return [Pilot(size, self.judge(f"{name} at IPC {size}", first_of_each(images, size))) for size in sizes]

    def judge(self, what: str, images: ImageSet) -> tuple[float, ...]:
        """One accuracy on the held-out images for each round."""
        with self.judging(what) as on_progress:
            return judge(
                images,
                self.held_out,
                get_challenge(self.job.challenge),
                rounds=self.rounds,
                epochs=self.epochs,
                device=self.job.device,
                on_progress=on_progress,
            ).rounds

    def make(self, candidate: Candidate, ipc: int) -> ImageSet:
        """The candidate's first `ipc` images of each class: those that a run of the same seed would begin with."""
        folder = self.scratch / f"{len(list(self.scratch.iterdir())):03d}"
        images, events = folder / "images", folder / "events.jsonl"
        images.mkdir(parents=True)
        settings, pda = split_pda({**self.job.settings, **candidate.settings}, self.job.pda)
        job = replace(self.job, output=str(images), events=str(events), steps=candidate.steps, ipc=ipc)

        def launch(clock: Clock) -> Launch:
            terms = Terms(images, job.challenge, LIMIT_S, job.seed, folder / "classes.json")
            env = environment(os.environ, terms, clock.deadline, self.data)
            mine = replace(job, deadline=clock.deadline, settings=settings, pda=pda)
            return launch_worker(mine, folder / "job.json", env)

        ending = supervise(launch, budget_s=LIMIT_S, log=folder / "log.txt")
        if ending.reason == "interrupted":
            raise KeyboardInterrupt
        happened = read_events(events)
        if not any(event.get("end") == "ipc" for event in happened):
            details = (event["detail"] for event in reversed(happened) if event.get("detail"))
            why = next(details, f"see {folder / 'log.txt'}")
            raise ValueError(f"{job.generator!r} with {candidate.name} did not give {ipc} images per class: {why}")
        challenge = get_challenge(job.challenge)
        return first_of_each(denormalise(read_folder(images, challenge).images, challenge), ipc)
