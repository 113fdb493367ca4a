"""What README and docs name is there: paths, modules, links and the anchors of headings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_imports import rooms

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("evaluation", "submission", "harness", "benchmarks", "tests", "docs")
PAGES = [ROOT / "README.md", ROOT / "tests" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def paths_in(text: str) -> set[str]:
    """Files and folders of the project in backticks, but for PLACEHOLDERS and <placeholders>; `*` stands for any."""
    quoted = re.findall(rf"`((?:{'|'.join(PACKAGES)})/[\w./*-]*)`", text)
    return {name for name in quoted if not re.search("[A-Z]{2}", name.removesuffix("README.md"))}


def modules_in(text: str) -> set[str]:
    """What `python -m` is told to run, of the project's own."""
    called = re.findall(r"python3? -m ([\w.]+)", text)
    return {name for name in called if name.split(".")[0] in PACKAGES}


def links_in(text: str) -> set[str]:
    """Targets of Markdown links within the repository."""
    return {link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"\w+:", link)}


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def module_file(name: str) -> Path | None:
    """What `python -m name` runs."""
    path = ROOT.joinpath(*name.split("."))
    found = (path.with_suffix(".py"), path / "__main__.py")
    return next((file for file in found if file.is_file()), None)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [path for path in sorted(paths_in(text)) if not list(ROOT.glob(path.rstrip("/")))]
    missing += [module for module in sorted(modules_in(text)) if module_file(module) is None]
    for link in sorted(links_in(text)):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    assert not missing, f"{page.relative_to(ROOT)} names {', '.join(missing)}"


def test_every_module_in_the_packages_docstrings_is_there() -> None:
    for package in PACKAGES[:4]:
        for file in (ROOT / package).rglob("*.py"):
            missing = [name for name in modules_in(file.read_text(encoding="utf-8")) if module_file(name) is None]
            assert not missing, f"{file.relative_to(ROOT)} names {', '.join(missing)}"


def test_what_is_not_there_is_found() -> None:
    text = """`harness/gone.py`, `tests/PACKAGE/test_FILE.py`, `harness/<verb>.py`, `evaluation/base/`, `README.md`,
    `python -m harness.gone`, [a](b.md#c), [d](https://e)"""
    assert paths_in(text) == {"harness/gone.py", "evaluation/base/"}
    assert modules_in(text) == {"harness.gone"} and module_file("harness.gone") is None
    assert module_file("harness") == ROOT / "harness" / "__main__.py"
    assert links_in(text) == {"b.md#c"}


def test_the_architecture_page_lists_every_room_below_those_it_imports() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = [path.rstrip("/").replace("/", ".") for path in re.findall(r"^\| `([a-z_/]+/)` \|", text, re.MULTILINE)]
    graph = rooms()
    of_packages = {room for room in graph if "." in room and not room.startswith("benchmarks")}
    assert set(listed) == of_packages - {"submission.training"}, "which holds a command line and rooms of its own"
    for room in listed:
        package = room.split(".")[0]
        above = set(listed[: listed.index(room)])
        below = {other for other in graph[room] if other.split(".")[0] == package} - above
        assert not below, f"{room} imports {below}, which stands below it on the page"
    arrows = re.findall(r'^ +([\w.]+)\["[^"]+"\] --> ([\w.]+)\[', text, re.MULTILINE)
    assert len(arrows) > 20 and all(other in graph[room] for room, other in arrows)
