"""The walls of the house: no import runs upwards, no two files import each other, heavy modules come late."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("evaluation", "submission", "harness")  # from the ground up


def modules() -> dict[str, Path]:
    found = {}
    for floor in FLOORS:
        for path in (ROOT / floor).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path, known: dict[str, Path]) -> set[str]:
    """The project's modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} has a relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in inner if name in known} or {node.module}
    return {name for name in found if name.split(".")[0] in FLOORS}


def type_only(path: Path) -> set[str]:
    """Modules imported under TYPE_CHECKING alone."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for inner in node.body:
                if isinstance(inner, ast.ImportFrom) and inner.module:
                    found.add(inner.module)
    return found


GRAPH = {name: imports_of(path, modules()) for name, path in modules().items()}


def test_no_import_runs_upwards() -> None:
    for name, imported in GRAPH.items():
        floor = FLOORS.index(name.split(".")[0])
        for other in imported:
            assert FLOORS.index(other.split(".")[0]) <= floor, f"{name} imports {other}, which is above it"


def test_no_two_files_import_each_other() -> None:
    running = {name: GRAPH[name] - type_only(path) for name, path in modules().items()}
    for name, imported in running.items():
        for other in imported:
            assert name not in running.get(other, set()), f"{name} and {other} import each other"


def test_nothing_of_the_makers_loads_the_test_split() -> None:
    for name, path in modules().items():
        if not name.startswith("submission"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and "load_split" in (
                getattr(node.func, "id", ""),
                getattr(node.func, "attr", ""),
            ):
                splits = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                assert splits == ["train"], f"{name} loads {splits or 'a split that it does not name'}"


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("harness.commands.cli", {"torch", "matplotlib", "sklearn", "pydantic", "PIL", "scipy"}),
        ("submission.contract.generator", {"torch", "pydantic", "PIL"}),
        ("submission.worker.worker", {"torch", "pydantic", "matplotlib", "sklearn"}),
        ("evaluation.base.challenge", {"torch", "numpy"}),
    ],
)
def test_heavy_modules_come_late(module: str, heavy: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not heavy & set(loaded.split())


def test_a_checker_that_finds_nothing_would_be_noticed() -> None:
    assert "evaluation.base.challenge" in GRAPH["submission.contract.generator"]
    assert len(GRAPH) > 20
