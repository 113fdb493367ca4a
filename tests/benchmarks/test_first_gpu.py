"""The first run on a card, rehearsed without one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import first_gpu
from benchmarks.first_gpu import PARTS, limit_for_older_pytorch, main, run

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
LACKING = ("diffusers", "transformers", "albumentations", "pydantic", "typer", "pynvml", "scipy", "sklearn", "PIL")


def parts_of(out: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))["parts"]
    return told


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_of_it_is_rehearsed_on_a_processor(tmp_path: Path) -> None:
    out = tmp_path / "first-gpu.json"
    assert main(["--device", "cpu", "--quick", "--out", str(out)]) == 0
    found = parts_of(out)
    assert list(found) == list(PARTS)
    assert [part for part, told in found.items() if "result" not in told] == []
    speeds = found["speed"]["result"]["digits"]
    assert set(speeds) == {
        "fast",
        "fast, a graph a step",
        "fast, no graphs",
        "fast, no Triton kernels",
        "fast, not compiled",
        "reference",
        "published",
    }
    assert all(each["ms_per_step"] > 0 and each["host_us_per_step"] > 0 for each in speeds.values())
    assert all(each["with_the_writer"] > 0 for each in found["shipped generators"]["result"].values())
    assert {row["generator"] for row in found["papers"]["result"]["rows"]} == {"sdxl-turbo", "dit"}
    assert found["equivalence"]["result"]["equivalence"]["pairs"] == 2


def test_a_machine_with_little_but_pytorch_says_what_it_skips(tmp_path: Path) -> None:
    out, only = tmp_path / "first-gpu.json", "versions,driver,convolutions,large set,papers"
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({LACKING}));"
        f"from benchmarks.first_gpu import main; main(['--device', 'cpu', '--quick', '--only', {only!r},"
        f" '--out', {str(out)!r}])"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=300)
    found = parts_of(out)
    assert {part for part, told in found.items() if "result" in told} == {"versions", "convolutions", "large set"}
    assert found["driver"]["skipped"] == "pynvml is not installed"
    assert found["papers"]["skipped"].endswith("is not installed")


def test_a_part_that_fails_keeps_no_other_from_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "first-gpu.json"

    def fails(setup: object) -> None:
        assert set(parts_of(out)) == {"first"}, "what was found before is in the file"
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def lacks(setup: object) -> None:
        raise ModuleNotFoundError("No module named 'benchmarks.nowhere'", name="benchmarks.nowhere")

    functions: dict[str, Callable[[object], Any]] = {"first": lambda setup: 1, "second": fails, "third": lacks}
    monkeypatch.setattr(first_gpu, "_function", functions.__getitem__)
    assert run(list(functions), CPU, True, out) == 1
    found = parts_of(out)
    assert list(found) == ["first", "second", "third"]
    assert found["first"]["result"] == 1
    assert "illegal memory access" in found["second"]["error"] and "in fails" in found["second"]["traceback"]
    assert "nowhere" in found["third"]["error"], "a module of ours that is missing is no package to install"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["--only", "spede", "--device", "cpu"], "there is no part 'spede'"), ([], "PyTorch sees no card here")],
)
def test_mistakes_get_a_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        main(arguments)
    assert sentence in capsys.readouterr().err


def test_an_older_pytorch_gets_the_limit_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    now = torch.compile
    limit_for_older_pytorch()
    assert torch.compile is now, "a new one is left as it is"

    def old(function: object, *, dynamic: bool | None = None) -> object:
        asked.append((torch._dynamo.config.recompile_limit, dynamic))
        return function

    monkeypatch.setattr(torch, "compile", old)
    limit_for_older_pytorch()
    with torch._dynamo.config.patch(recompile_limit=8):
        torch.compile(print, dynamic=False, recompile_limit=77)  # type: ignore[call-overload]
    assert asked == [(77, False)]
