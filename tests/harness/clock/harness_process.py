"""A harness as a process of its own, for tests that kill, stop and interrupt it."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.clock.launch import Launch
from harness.clock.supervisor import supervise


def main() -> None:
    order = json.loads(sys.argv[1])
    folder, options = Path(order["folder"]), order["options"]
    fork_a_bystander: bool = options.pop("fork_a_bystander", False)

    def on_tick(elapsed_s: float) -> None:
        nonlocal fork_a_bystander
        if fork_a_bystander and os.fork() == 0:  # holds copies of all that the harness has open
            os.environ.clear()
            (folder / "bystander").write_text(str(os.getpid()))
            time.sleep(60)
            os._exit(0)
        fork_a_bystander = False

    launch = Launch([sys.executable, "-S", "-c", order["program"]], dict(os.environ), folder)
    ending = supervise(lambda clock: launch, log=folder / "log.txt", on_tick=on_tick, **options)
    fields: dict[str, Any] = asdict(ending) | {"started_at": ending.started_at.isoformat()}
    print(json.dumps(fields))


if __name__ == "__main__":
    main()
