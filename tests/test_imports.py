"""What may import what: no package from above, no circles of files or rooms, heavy modules late."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("evaluation", "submission", "harness", "benchmarks")  # from the ground up
Graph = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """Every module of the packages by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(tree: ast.Module) -> set[str]:
    """The modules that a file imports, wherever in the file, for types alone too; the names in them as well."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "relative imports are not used here"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
# A folder's own module is empty but for a docstring, so whatever is imported from a folder is a file in it.
GRAPH: Graph = {name: {other for other in imports_of(tree) if other in MODULES} for name, tree in TREES.items()}


def room_of(module: str) -> str:
    """The folder that a module lies in."""
    return ".".join(MODULES[module].parent.relative_to(ROOT).parts)


def rooms() -> Graph:
    """Which room imports from which others."""
    found: Graph = {room_of(name): set() for name in GRAPH}
    for name, imported in GRAPH.items():
        found[room_of(name)] |= {room_of(other) for other in imported if other != other.split(".")[0]}
    return {room: others - {room} for room, others in found.items()}


def circle(graph: Graph) -> list[str]:
    """Some circle of `graph`, from a node back to it; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_import_runs_upwards() -> None:
    for name, imported in GRAPH.items():
        floor = PACKAGES.index(name.split(".")[0])
        for other in imported:
            assert PACKAGES.index(other.split(".")[0]) <= floor, f"{name} imports {other}, which is above it"


def test_no_circle_of_files() -> None:
    assert not circle(GRAPH)


def test_no_circle_of_rooms() -> None:
    found = circle(rooms())
    edges = {
        (name, other)
        for name, imported in GRAPH.items()
        for other in imported
        if room_of(name) != room_of(other) and {room_of(name), room_of(other)} <= set(found)
    }
    assert not found, f"{' -> '.join(found)}: {edges}"


def test_nothing_imports_from_the_tests() -> None:
    for name, tree in TREES.items():
        assert not [other for other in imports_of(tree) if other.split(".")[0] == "tests"], f"{name} imports from tests"


def test_nothing_under_submission_loads_the_test_split() -> None:
    loaded = 0
    for name, tree in TREES.items():
        if not name.startswith("submission"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and "load_split" in (
                getattr(node.func, "id", ""),
                getattr(node.func, "attr", ""),
            ):
                splits = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                assert splits == ["train"], f"{name} loads {splits or 'a split that it does not name'}"
                loaded += 1
    assert loaded > 3


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
    assert "evaluation.base" in rooms()["submission.contract"]
    assert len(GRAPH) > 100
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    typed = ast.parse("if TYPE_CHECKING:\n    from harness.run.run import Finished")
    assert imports_of(typed) == {"harness.run.run", "harness.run.run.Finished"}
