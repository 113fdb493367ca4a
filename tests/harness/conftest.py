from __future__ import annotations

from pathlib import Path

import pytest

from harness.clock.sandbox import Isolation
from tests.harness.clock.clocked import Scene, can_make_cgroups


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture(params=["cgroup", "process"])
def isolation(request: pytest.FixtureRequest) -> Isolation:
    if request.param == "cgroup" and not can_make_cgroups():
        pytest.skip("no control group with cgroup.kill can be made on this machine")
    chosen: Isolation = request.param
    return chosen
