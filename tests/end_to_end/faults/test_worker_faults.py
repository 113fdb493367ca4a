"""A generator that fails inside the project's own worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.faults.matrix import Fault, check, check_next, run_with
from tests.end_to_end.faults.test_generation_faults import SHORT, command_of

PLUGINS = Path(__file__).with_name("generators")
WHOLE = "what was whole on disk"
# time enough to load on a busy machine
LONG = {"budget_s": 20.0}

FAULTS = [
    Fault("hangs at import", "no_images", "record and report", 3, 0, "hang_at_import", SHORT),
    Fault("hangs while it loads", "no_images", "record and report", 3, 0, "hang_at_load", SHORT, slow=True),
    Fault("hangs in a batch", "deadline_truncated", WHOLE, 0, 1, "hang_in_a_batch", LONG, more=True, slow=True),
    Fault("is stopped by a signal", "deadline_truncated", WHOLE, 0, 1, "stopped", LONG, more=True, slow=True),
    Fault("raises an error in a batch", "crashed", WHOLE, 0, 1, "raise_in_a_batch", more=True, slow=True),
    Fault("ends its process in a batch", "crashed", WHOLE, 0, 1, "exit_in_a_batch", more=True, slow=True),
    Fault("is killed", "crashed", WHOLE, 0, 1, "killed", more=True, slow=True),
    Fault("finds no memory for any batch", "out_of_memory", WHOLE, 0, 1, "out_of_memory", more=True, slow=True),
    Fault("gives images of a wrong kind", "crashed", WHOLE, 0, 1, "not_a_number", more=True, slow=True),
]


@pytest.mark.parametrize("fault", [fault.case for fault in FAULTS])
def test_it_ends_as_the_page_says(fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLUGINS)
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS))
    monkeypatch.setenv("FAULT", fault.program)
    options = {"budget_s": 60.0, **fault.options}
    finished = run_with(tmp_path / "run", monkeypatch, generator="faulty", ipc=30, **options)
    check(finished, fault)
    check_next(tmp_path / "next", monkeypatch, command_of("paint_each_class"))
