"""`doctor`: what this machine can run and what is missing. No network, nothing is fetched, no data is read."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.base.challenge import challenges
from evaluation.base.command_line import Data, ExitCode, Options
from evaluation.base.container import container_kind
from harness.clock.cgroup import limit_processes, make_cgroup
from harness.clock.process_limit import ProcessLimit, most_processes
from harness.clock.processes import can_follow_families
from harness.commands.checks import (
    CHECKED,
    Check,
    check_clock,
    check_compiler,
    check_container,
    check_data,
    check_default,
    check_disk,
    check_docker,
    check_generators,
    check_gpu,
    check_memory,
    check_process_limit,
    check_python,
    check_torch,
    is_ready,
)
from harness.gpu.nvml import open_nvml

if TYPE_CHECKING:
    from harness.report.console import Voice

DOCKER_ANSWERS_IN_S = 1.0


@dataclass(frozen=True)
class DoctorOptions(Options):
    """Options of `doctor`."""

    data: Data = None


def doctor(options: DoctorOptions, voice: Voice) -> ExitCode:
    """What this machine can run, and what is missing, in plain words; exit code 6 if digits cannot run."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # no library that could ask a model hub does so here
    return show_checks(examine(options.data), voice)


def examine(data: Path | None) -> list[Check]:
    """Every check of this machine, in the order shown; `data`: folder of the real data sets."""
    limited = is_limited()  # which starts processes, and so comes before threads do
    import torch

    from evaluation.base.cache import cache_folder
    from evaluation.base.container import is_lost, mount_cache, mount_results, permission_advice
    from evaluation.base.limits import available_memory, total_memory, usable_cores
    from evaluation.data.datasets import is_at_hand
    from evaluation.judge.cpp_kernels.build import find_compiler
    from harness.commands.generators import rows
    from harness.run.default_generators import defaults

    nvml, why = open_nvml()
    cards, driver = (nvml.cards(), nvml.driver()) if nvml else ((), None)
    if nvml:
        nvml.close()
    here, available = Path.cwd(), available_memory()
    cgroup = make_cgroup()
    if cgroup:
        cgroup.remove()
    generators = rows(None, data)
    places = " or ".join(str(folder) for folder in (data, cache_folder()) if folder is not None)
    return [
        check_python((sys.version_info.major, sys.version_info.minor)),
        check_torch(str(torch.__version__), torch.version.cuda, torch.cuda.is_available(), len(cards), driver),
        check_clock(platform.system() == "Linux" and can_follow_families(), cgroup is not None),
        check_process_limit(limited),
        check_gpu(cards, driver, why, container_kind() is not None),
        check_container(
            container_kind(),
            usable_cores(),
            total_memory() / 1e9,
            [keep for folder, keep in ((here, mount_results()), (cache_folder(), mount_cache())) if is_lost(folder)],
        ),
        check_disk(
            shutil.disk_usage(here).free / 1e9, os.access(here, os.W_OK), "this folder", permission_advice(here)
        ),
        check_memory(available / 1e9 if available is not None else None),
        check_default(generators, defaults(CHECKED)),
        *(
            check_data(each, {split: is_at_hand(each, split, data) for split in ("train", "test")}, places)
            for each in challenges().values()
        ),
        check_generators(generators),
        check_compiler(find_compiler()),
        check_docker(*docker()),
    ]


def is_limited() -> bool:
    """Whether the number of a program's processes can be limited here, as the guard finds out before each run."""
    cgroup = make_cgroup()
    limiting = limit_processes(cgroup, most_processes(1))
    try:
        return bool(ProcessLimit.of(limiting, most_processes(1)))
    finally:
        for group in (cgroup, limiting):
            if group:
                group.remove()


def docker() -> tuple[bool, str | None]:
    """Whether the client is installed, and the version of the engine that answers it."""
    client = shutil.which("docker")
    if client is None:
        return False, None
    command = [client, "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOCKER_ANSWERS_IN_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return True, None
    return True, done.stdout.strip() or None


def show_checks(checks: Sequence[Check], voice: Voice) -> ExitCode:
    """Print them, as a table or as one JSON object; returns the exit code."""
    ready = is_ready(checks)
    code = ExitCode.DONE if ready else ExitCode.NOT_READY
    if voice.as_json:
        described = [{**asdict(check), "needed": check.needed} for check in checks]
        print(json.dumps({"ready": ready, "checks": described}, indent=2))
        return code
    from rich.table import Table
    from rich.text import Text

    colours = {"ok": "green", "warn": "yellow", "missing": "red"}
    table = Table("", "what", "finding", box=None, pad_edge=False, header_style="bold")
    for check in checks:
        found = Text(check.sentence)
        if check.todo:
            found.append(f"\n{check.todo}", style="dim")
        table.add_row(Text(check.status, style=colours[check.status]), check.name, found)
    voice.console.print(table, soft_wrap=False)
    if ready:
        voice.say(f"Ready: `python -m harness run --dataset {CHECKED}` works here.")
    else:
        wanting = ", ".join(check.name for check in checks if check.needed and check.status == "missing")
        voice.say(f"Not ready: `python -m harness run --dataset {CHECKED}` needs what is missing: {wanting}.")
    return code
