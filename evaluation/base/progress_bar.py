"""Progress of long work: a bar where there is a terminal to redraw it, else a line at the start and now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rich.console import Console
from rich.text import Text

from evaluation.base.durations import show_duration
from evaluation.base.untrusted import harmless

# how often a line is printed where there is no terminal
LINE_EVERY_S = 15.0

# `update(fraction, text)`: the fraction done, in [0, 1], and what to say about it
Update = Callable[[float, str], None]


class _PlainConsole(Console):
    """Much of what is printed was written by strangers: no text of it is markup, or reaches the terminal raw."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(harmless(text), **options)


def plain_console(stderr: bool = False) -> Console:
    """A console that prints what it is given: no markup, no highlighting, no wrapping of paths."""
    return _PlainConsole(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)


def starting(console: Console | None = None) -> AbstractContextManager[object]:
    """While modules load, which takes seconds: something that turns on a terminal, nothing elsewhere."""
    console = console or plain_console(stderr=True)
    return progress_bar("Starting", console) if console.is_terminal else nullcontext()


@contextmanager
def progress_bar(title: str, console: Console | None = None) -> Iterator[Update]:
    """Show how far some work has come and the time remaining; the one progress display of all packages.

        with progress_bar("Training") as update:
            for step in range(steps):
                ...
                update((step + 1) / steps, f"loss {loss:.3f}")

    Until the first update, and for work that never calls it, the bar only shows that something is going on. The time
    remaining is estimated from the pace since that update, so work that was done before (a resumed checkpoint) and
    warming up do not count.

    Args:
        title: what is going on.
        console: where to show it; None for standard error.
    """
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    console = console or plain_console(stderr=True)
    drawn = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        TextColumn("{task.fields[text]}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # then nothing is drawn, but the pace is measured all the same
        speed_estimate_period=900,
    )
    with drawn:
        drawn.add_task(harmless(title), total=None, text="")
        (task,) = drawn.tasks
        last_line = time.monotonic()
        if drawn.disable:
            console.print(f"{title} ...", markup=False)

        def update(fraction: float, text: str) -> None:
            nonlocal last_line
            drawn.update(task.id, total=1.0, completed=min(fraction, 1.0))
            if drawn.disable and time.monotonic() - last_line < LINE_EVERY_S:
                return
            if remaining_s := task.time_remaining:
                text = f"{text}, {show_duration(remaining_s)} left"
            if drawn.disable:
                last_line = time.monotonic()
                console.print(f"{title}: {text}", markup=False)
            else:
                drawn.update(task.id, text=harmless(text))

        yield update
