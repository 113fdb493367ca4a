"""A harness as a process of its own that runs a container, for tests that kill and interrupt it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.docker.visits import SMALL, Scene


def main() -> None:
    order = json.loads(sys.argv[1])
    scene = Scene.__new__(Scene)  # its folders are there already
    scene.folder = Path(order["folder"])
    from harness.clock.container.engine import connect

    scene.client, scene.limits = connect(), SMALL | order["limits"]
    ending, copied = scene.supervise(order["program"], budget_s=order["budget_s"])
    told = asdict(ending) | {"started_at": ending.started_at.isoformat(), "copied": asdict(copied)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
