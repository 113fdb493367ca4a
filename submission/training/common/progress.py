"""Progress of a long job with the time remaining: a live bar on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_LINE_EVERY_S = 30.0


def duration(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    hours, rest = divmod(max(0, round(seconds)), 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


class Progress:
    """Shows a share of a job that is done; goes to standard error."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._began = time.monotonic()
        self._first_share: float | None = None
        self._next_line = 0.0
        self._bar = _live_bar(title)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, share: float, text: str) -> None:
        """`share` of the job in [0, 1] is done; `text` says more."""
        now = time.monotonic()
        if self._first_share is None:
            self._first_share, self._began = share, now
        gained = share - self._first_share
        left = duration((now - self._began) * (1 - share) / gained) + " left" if gained > 0 else ""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=share, text=f"{text}  {left}")
        elif now >= self._next_line:
            self._next_line = now + _LINE_EVERY_S
            print(f"{self.title}: {share:4.0%}  {text}  {left}", file=sys.stderr, flush=True)


def _live_bar(title: str):  # type: ignore[no-untyped-def]  # rich is not on every machine that trains
    if not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar
    except ImportError:
        return None
    bar = Bar(TextColumn(title), BarColumn(), TextColumn("{task.fields[text]}"), console=Console(stderr=True))
    bar.add_task(title, total=1.0, text="")
    return bar
