from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clock.sandbox import Isolation
from tests.harness.clock.clocked import Scene, can_make_cgroups
from tests.harness.report.browser import Browser, browsing, find_browser


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture(params=["cgroup", "process"])
def isolation(request: pytest.FixtureRequest) -> Isolation:
    if request.param == "cgroup" and not can_make_cgroups():
        pytest.skip("no control group with cgroup.kill can be made on this machine")
    chosen: Isolation = request.param
    return chosen


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    command = find_browser()
    if command is None:
        pytest.skip("needs Chromium to look at pages: apt-get install chromium")
    with browsing(command) as found:
        yield found
