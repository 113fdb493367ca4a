"""The two generators in the README are what a newcomer copies: they run as they stand there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def snippet(name: str) -> str:
    """The Python of the README whose first line is a comment with this file name."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return next(code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if code.startswith(f"# {name}\n"))


def run(folder: Path, *arguments: str) -> dict[str, object]:
    """A run of digits without judging: its record."""
    command = [sys.executable, "-m", "harness", "--dataset", "digits", "--no-judge", "--out", str(folder / "run")]
    whole = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    subprocess.run([*command, *arguments], cwd=folder, env=whole, check=True, timeout=300)
    record: dict[str, object] = json.loads((folder / "run" / "record.json").read_text(encoding="utf-8"))
    return record


def test_the_program(tmp_path: Path) -> None:
    (tmp_path / "noise.py").write_text(snippet("noise.py"), encoding="utf-8")
    record = run(tmp_path, "--command", f"{sys.executable} noise.py")
    assert (record["outcome"], record["images"]) == ("ok", 100)


def install_class(folder: Path) -> None:
    """The README's class, as pip would leave it, in a folder that is put on PYTHONPATH."""
    (folder / "grey.py").write_text(snippet("grey.py"), encoding="utf-8")
    installed = folder / "grey-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: grey\nVersion: 1\n", encoding="utf-8")
    (installed / "entry_points.txt").write_text("[submission.generators]\ngrey = grey:Grey\n", encoding="utf-8")


def test_the_class(tmp_path: Path) -> None:
    install_class(tmp_path)
    record = run(tmp_path, "--generator", "grey", "--ipc", "3")
    assert (record["outcome"], record["images"], record["generator"]) == ("ok", 30, "grey")
