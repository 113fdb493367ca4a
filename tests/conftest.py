"""What every test shares: quiet property tests, and where the real data lies."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# a busy machine is not a wrong answer
settings.register_profile("project", deadline=None, max_examples=60)
settings.load_profile("project")

ROOT = Path(__file__).resolve().parent.parent
UNPACKER = ROOT.parent / "shared" / "data" / "unpack.py"


@pytest.fixture(scope="session")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the real data sets; the test is skipped where there is none."""
    given = os.environ.get("SUBMISSION_DATA")
    if given:
        return Path(given)
    if not UNPACKER.exists():
        pytest.skip("no real data: set SUBMISSION_DATA to a folder with cifar-100-python and tiny-imagenet-200")
    # one folder for all workers of this run; the unpacker leaves alone what is there and whole
    folder = tmp_path_factory.getbasetemp().parent.parent / "real-data"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([sys.executable, str(UNPACKER), str(folder)], check=True, capture_output=True)
    return folder
