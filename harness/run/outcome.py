"""The outcome of a run's generation: the clock's word, the worker's and the output folder's as one."""

import signal

from evaluation.submitted.folder import outside_words
from harness.records.record import Outcome
from harness.run.generation import Generation


def outcome(
    generation: Generation, images: int, invalid: str | None = None, outside: int = 0
) -> tuple[Outcome, str | None]:
    """The outcome and one sentence on it, None where there is nothing to add.

    Args:
        images: whole images in the output folder.
        invalid: why the folder could not be read as labelled images; None where it could.
        outside: images that lie outside its class folders.
    """
    how, detail = _outcome(generation, images, invalid)
    if not outside or how is Outcome.INVALID_OUTPUT:
        return how, detail
    if how is Outcome.NO_IMAGES:
        how, detail = Outcome.INVALID_OUTPUT, None
    return how, "; ".join(filter(None, (detail, f"{outside_words(outside)}, which say what an image is of")))


def _outcome(generation: Generation, images: int, invalid: str | None) -> tuple[Outcome, str | None]:
    ending = generation.ending
    if ending.reason == "interrupted":
        return Outcome.INTERRUPTED, "Its images were counted by their names and were not opened" if images else None
    if generation.error == "out_of_memory" or ending.out_of_memory:
        return Outcome.OUT_OF_MEMORY, generation.detail
    if invalid is not None:
        return Outcome.INVALID_OUTPUT, invalid
    if ending.reason == "deadline":
        if images:
            return Outcome.DEADLINE_TRUNCATED, None
        return Outcome.NO_IMAGES, _with_notes(
            f"It was still {_busy_with(generation)} when the budget ended", generation
        )
    if ending.reason == "guard_lost":
        return Outcome.CRASHED, "It killed the harness's guard, and was killed for it"
    if generation.error == "crashed" or ending.returncode != 0:
        return Outcome.CRASHED, generation.detail or _exit_words(ending.returncode)
    if images == 0:
        return Outcome.NO_IMAGES, _with_notes("It ended by itself without an image in the output folder", generation)
    if ending.stragglers:
        return Outcome.OK, f"It left {ending.stragglers} processes behind; they were killed when it ended"
    return Outcome.OK, None


def _with_notes(detail: str, generation: Generation) -> str:
    return "; ".join((detail, *generation.notes))


def _busy_with(generation: Generation) -> str:
    phases = generation.ledger
    if phases.generate or phases.write:
        return "running, with nothing whole on disk,"
    return "warming up" if phases.warmup else "loading"


def _exit_words(returncode: int | None) -> str:
    if returncode is None:
        return "Its exit code is not known; log.txt holds what it said"
    if returncode < 0:
        name = signal.strsignal(-returncode) or "unknown"
        return f"It was killed by signal {-returncode} ({name}); log.txt holds what it said"
    return f"It ended with exit code {returncode}; log.txt holds what it said"
