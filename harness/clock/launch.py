"""What is started under the clock: its command line, environment and job."""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.base.challenge import Challenge
from submission.contract.job import Job

# the folder that holds the packages: where our own processes start
ROOT = Path(__file__).resolve().parents[2]
_PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")
_OURS = "SUBMISSION_"
_NEVER_DROPPED = ("HOME", "PATH")


@dataclass(frozen=True)
class Needs:
    """What is fetched for a generator before the clock starts."""

    weights: Path | None
    training_images: Path | None
    device: str

    def job(self, output: str = "", events: str = "", deadline: float = 0.0, **rest: Any) -> Job:
        """The worker's job with them, and with `rest`; without a place to write to where nothing is run yet."""
        weights, training_images = (str(path) if path else None for path in (self.weights, self.training_images))
        return Job(
            output=output,
            events=events,
            deadline=deadline,
            device=self.device,
            weights=weights,
            training_images=training_images,
            **rest,
        )


@dataclass(frozen=True)
class Launch:
    """One program to start."""

    command: Sequence[str]  # program and arguments; no shell reads them
    env: Mapping[str, str]  # its whole environment
    cwd: Path


@dataclass(frozen=True)
class Terms:
    """What every generator is told, beside its deadline."""

    output: Path  # the folder to write class folders into
    dataset: str
    budget_s: float  # seconds from its start to its end
    seed: int
    classes: Path  # a JSON file of class names in label order

    @property
    def placeholders(self) -> dict[str, str]:
        """The terms as text, by placeholder."""
        return {
            "output": str(self.output),
            "dataset": self.dataset,
            "budget": f"{self.budget_s:f}".rstrip("0").rstrip("."),
            "seed": str(self.seed),
            "classes": str(self.classes),
        }


def launch_worker(job: Job, path: Path, env: Mapping[str, str]) -> Launch:
    """Our own worker, with its job written to `path`."""
    job.save(path)
    return Launch([sys.executable, "-m", "submission.worker.worker", str(path)], env, ROOT)


def write_classes(challenge: Challenge, path: Path) -> None:
    """Write the class names in label order as one JSON list."""
    path.write_text(json.dumps(list(challenge.class_names), indent=1) + "\n", encoding="utf-8")


def command_line(template: str, terms: Terms) -> list[str]:
    """Split `template` as a shell would and fill in its placeholders, which stay one argument each.

    Raises:
        ValueError: it is empty, has an open quotation or a placeholder that means nothing.
    """
    try:
        words = shlex.split(template)
    except ValueError as problem:
        raise ValueError(f"the command {template!r} cannot be split into arguments: {problem}") from None
    if not words:
        raise ValueError("the command is empty; give a program and its arguments")
    return [fill(word, terms) for word in words]


def fill(word: str, terms: Terms) -> str:
    """`word` with its placeholders filled in. Raises ValueError for one that means nothing."""
    values = terms.placeholders

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            known = " ".join(f"{{{name}}}" for name in values)
            raise ValueError(f"{match[0]} in {word!r} is not a placeholder; there are {known}")
        return values[match[1]]

    return _PLACEHOLDER.sub(value, word)


def check_program(launch: Launch) -> None:
    """Raises ValueError if the program of `launch` is not there or may not be executed."""
    program = launch.command[0]
    # With a folder in its name it is looked for from the folder that it starts in, without one along PATH.
    found = str(launch.cwd / program) if os.sep in program else program
    if shutil.which(found, path=launch.env.get("PATH", os.defpath)) is None:
        raise ValueError(f"there is no program {program!r} that can be executed; check the name and its permissions")


def environment(base: Mapping[str, str], terms: Terms, deadline: float, data: Path | None) -> dict[str, str]:
    """The environment of a generator: `base` without our variables and the path of the real data, plus the terms.

    Args:
        deadline: CLOCK_MONOTONIC seconds at which everything is killed.
        data: folder of the real data sets; None where there is none.
    """
    told = terms.placeholders | {"deadline_monotonic": repr(deadline)}
    told["budget_seconds"] = told.pop("budget")
    # cards are numbered as in the record, whatever starts; a user's own order stays
    base = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", **base}
    return inherited(base, data) | {_OURS + name.upper(): value for name, value in told.items()}


def container_environment(terms: Terms, deadline: float) -> dict[str, str]:
    """What a container is told beside its image's own environment: nothing of ours, and a home that is there."""
    return {"HOME": "/tmp", **environment({}, terms, deadline, None)}


def with_compile_cache(base: Mapping[str, str], folder: Path) -> dict[str, str]:
    """`base` with an empty folder for what is compiled, so that every start is a cold one, on the clock."""
    return {**base, "TORCHINDUCTOR_CACHE_DIR": str(folder)}


def inherited(base: Mapping[str, str], data: Path | None) -> dict[str, str]:
    """`base` without our variables and without those that hold the path of `data`."""
    return {
        name: value
        for name, value in base.items()
        if not name.startswith(_OURS) and (name in _NEVER_DROPPED or not _names_folder(value, data))
    }


def _names_folder(value: str, folder: Path | None) -> bool:
    """Whether `value` holds the path of `folder` or of something in it."""
    if folder is None:
        return False
    names = {str(folder), str(folder.absolute()), str(folder.resolve())}
    return any(re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w.-])", value) for name in names)
