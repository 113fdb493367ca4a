"""Runs on this machine, a card at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock

from evaluation.base.command_line import ExitCode
from harness.clock.launch import ROOT
from harness.clock.processes import die_with_parent
from harness.compare.engines.engine import Done, RunTask, last_line


@dataclass(frozen=True)
class Local:
    """This machine: as many runs at a time as there are `cards`; without any one at a time, with all cores.

    So nothing else of the benchmark runs beside a generation, unless it has a card of its own.
    """

    cards: tuple[int, ...] = ()

    def run(self, tasks: Sequence[RunTask], on_done: Callable[[Done], None]) -> None:
        free: SimpleQueue[int | None] = SimpleQueue()
        for card in self.cards or (None,):
            free.put(card)
        running: set[subprocess.Popen[bytes]] = set()
        lock, stopped = Lock(), False

        def work(task: RunTask) -> Done:
            card = free.get()
            try:
                with task.log.open("ab") as log:
                    with lock:
                        if stopped:
                            return Done(task, ExitCode.INTERRUPTED, "")
                        process = subprocess.Popen(
                            [sys.executable, "-m", "harness", "run", *task.arguments],
                            cwd=ROOT,
                            env=os.environ | ({} if card is None else {"CUDA_VISIBLE_DEVICES": str(card)}),
                            stdin=subprocess.DEVNULL,
                            stdout=log,
                            stderr=log,
                            start_new_session=True,  # so that Ctrl-C is ours to pass on
                            preexec_fn=die_with_parent,
                        )
                        running.add(process)
                    code = process.wait()
                    running.discard(process)
                return Done(task, code, last_line(task.log.read_text(encoding="utf-8", errors="replace")))
            finally:
                free.put(card)

        with ThreadPoolExecutor(max(1, len(self.cards))) as pool:
            waiting: set[Future[Done]] = {pool.submit(work, task) for task in tasks}
            try:
                while waiting:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        on_done(future.result())
            except BaseException:
                with lock:
                    stopped = True
                    for future in waiting:
                        future.cancel()
                    for process in running:
                        with suppress(OSError):
                            process.send_signal(signal.SIGINT)
                raise
