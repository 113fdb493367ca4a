"""Plans from YAML: what they come to, and that every mistake names its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.compare.bench_plan import make_plan, read_plan

GOOD = """\
generators:
  - native
  - generator: native
    name: native-4
    steps: 4
    settings: {guidance: 2}
  - {name: mine, command: "python mine.py --out {output}"}
datasets: [digits, cifar100]
budgets: [30s, 2m]
seeds: 2
ipc: 5
epochs: 20
"""


def read(tmp_path: Path, text: str) -> object:
    path = tmp_path / "bench.yaml"
    path.write_text(text)
    return read_plan(path)


def test_every_combination_is_a_run(tmp_path: Path) -> None:
    (tmp_path / "bench.yaml").write_text(GOOD)
    plan = read_plan(tmp_path / "bench.yaml")
    cells = list(plan.cells())
    assert len(cells) == len({cell.folder for cell in cells}) == 3 * 2 * 2 * 2
    assert {cell.budget_s for cell in cells} == {30.0, 120.0}
    assert [cell.seed for cell in cells] == [0] * 12 + [1] * 12, "an early end leaves all entries with as many"
    steps, mine = (next(cell for cell in cells if cell.name == name) for name in ("native-4", "mine"))
    told = " ".join(steps.arguments())
    assert "--generator native --steps 4 --set guidance=2" in told and "--ipc 5" in told and "--name" not in told
    assert mine.arguments()[6:10] == ["--command", "python mine.py --out {output}", "--name", "mine"]


def test_each_seed_has_rounds_of_its_own() -> None:
    plan = make_plan({"generators": ["native"], "datasets": ["digits"], "seeds": [3, 5], "judge_seed": 10})
    told = [" ".join(cell.arguments()) for cell in plan.cells()]
    assert ["--judge-seed 13" in told[0], "--judge-seed 15" in told[1]] == [True, True]
    assert all("--budget 60.0s" in each for each in told), "the data set's own"


def test_what_changes_a_run_changes_its_folder() -> None:
    common = {"generators": ["native"], "datasets": ["digits"]}
    first, same, other = (
        next(make_plan({**common, **more}).cells()).folder for more in ({}, {"seeds": 4}, {"epochs": 20})
    )
    assert first == same != other


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ("  - native\n", "  - dall-e\n", 2, "no generator is called 'dall-e'"),
        ("steps: 4", "steps: none", 5, "valid integer"),
        ("steps: 4", "stepps: 4", 5, "Extra inputs"),
        ("[digits, cifar100]", "[digits, mnist]", 8, "there is no data set 'mnist'"),
        ("[30s, 2m]", "[30s, soon]", 9, "'soon' is not a duration"),
        ("seeds: 2", "seeds: 0", 10, "greater than or equal to 1"),
        ("name: native-4", "name: mine", 1, "two entries are called mine"),
        ("name: mine, ", "", 7, "needs a name"),
        ("name: mine, ", "name: a/b, ", 7, "must be letters"),
        ("name: mine, ", "name: mine, steps: 3, ", 7, "put them into the command"),
        ("  - native\n", "  - {generator: native, trust: true}\n", 2, "trust is for a command alone"),
        ("ipc: 5", "ipc: [", 13, ""),
    ],
)
def test_a_mistake_names_its_line(old: str, new: str, line: int, sentence: str, tmp_path: Path) -> None:
    assert old in GOOD
    with pytest.raises(ValueError, match=f"line {line}: ") as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert sentence in str(caught.value)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="datasets: Field required"):
        read(tmp_path, "generators: [native]\n")
    with pytest.raises(ValueError, match="cannot be read"):
        read_plan(tmp_path / "none.yaml")
    (tmp_path / "other.yaml").write_bytes(b"\xff\xfe{")
    with pytest.raises(ValueError, match=r"other.yaml is no text in UTF-8"):
        read_plan(tmp_path / "other.yaml")
    with pytest.raises(ValueError, match="line 1: "):
        read(tmp_path, "")
