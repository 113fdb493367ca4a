"""How the folders are laid out: none too full, each says what belongs in it, and the tests mirror them."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("evaluation", "submission", "harness", "benchmarks")
MOST_FILES = 20


def folders(top: str) -> list[Path]:
    """The folders below `top`, itself included, that hold Python files."""
    return sorted({path.parent for path in (ROOT / top).rglob("*.py")})


def test_no_folder_holds_more_than_20_files() -> None:
    for top in (*PACKAGES, "tests"):
        for folder in folders(top):
            count = len(list(folder.glob("*.py")))
            assert count <= MOST_FILES, f"{folder.relative_to(ROOT)} holds {count} files"


def test_every_package_folder_says_in_one_line_what_belongs_there() -> None:
    for package in PACKAGES:
        for folder in folders(package):
            if folder.is_relative_to(ROOT / "benchmarks" / "awkward"):
                continue  # each goes on PYTHONPATH by itself
            told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
            assert told and "\n" not in told, f"{folder.relative_to(ROOT)}/__init__.py needs a docstring of one line"


def test_tests_mirror_the_rooms() -> None:
    """`tests/PACKAGE/ROOM/test_FILE.py` tests a file or folder of that name in the room; others stand in the README."""
    listed = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    for package in PACKAGES:
        for test in sorted((ROOT / "tests" / package).rglob("test_*.py")):
            shown = test.relative_to(ROOT / "tests")
            room, name = ROOT / shown.parent, test.stem.removeprefix("test_")
            assert room.is_dir(), f"tests/{shown} is of a room that is not there"
            tested = list(room.rglob(f"{name}.py")) or (room / name).is_dir()
            assert tested or f"`tests/{shown}`" in listed, (
                f"tests/{shown} names no file of its room; tests/README.md must"
            )
