"""The first ten minutes on a card: everything that this project says of one and has only estimated so far.

    python -m benchmarks.first_gpu                        # on the card
    python -m benchmarks.first_gpu --device cpu --quick   # a rehearsal of all of it, without a number worth keeping

Each part runs in its own try, and the file is written after each, so that whatever happens leaves what was found. A
part that needs a package which is not installed says so; the judge's parts need PyTorch, from 2.11 on, and NumPy alone.
The papers' models at full size come last: to write and load them takes as long as all the rest.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import Setup
from evaluation.base.card import order_cards
from evaluation.base.files import write_text
from evaluation.judge.streams import release

# modules of benchmarks.card and their functions, in this order: what a short loan of a card should bring home first
PARTS = {
    "versions": "facts:versions",
    "driver": "facts:driver",
    "ceilings": "facts:ceilings",
    "convolutions": "facts:convolutions",
    "steps equal the reference": "judging:steps_equal_the_reference",
    "graphs equal steps": "judging:graphs_equal_steps",
    "tests": "judging:tests",
    "weights repeat": "judging:weights_repeat",
    "memory comes back": "judging:memory_comes_back",
    "speed": "speed:speed",
    "streams": "speed:streams",
    "large set": "speed:large_set",
    "shipped generators": "generating:shipped",
    "equivalence": "generating:equivalence",
    "papers": "generating:papers",
}

OWN = ("benchmarks", "evaluation", "harness", "submission")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 where a part failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="a rehearsal: small sets and tiny models")
    parser.add_argument("--only", help=f"comma-separated, of: {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=Path("first-gpu.json"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    wanted = [part.strip() for part in options.only.split(",")] if options.only else list(PARTS)
    if unknown := [part for part in wanted if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; there are: {', '.join(PARTS)}")
    order_cards()
    if options.device != "cpu" and not torch.cuda.is_available():
        parser.error("PyTorch sees no card here; rehearse with --device cpu --quick")
    limit_for_older_pytorch()
    return run(wanted, torch.device(options.device), options.quick, options.out)


def run(parts: Sequence[str], device: torch.device, quick: bool, out: Path) -> int:
    """Each part in turn into `out`: its `result`, or why it was `skipped`, or its `error`; and its `seconds`."""
    setup = Setup(device, quick)
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        began = time.monotonic()
        found[part] = attempt(lambda part=part: _function(part)(setup))  # type: ignore[misc]
        found[part]["seconds"] = round(time.monotonic() - began, 2)
        release(device)
        write_text(out, json.dumps({"device": str(device), "quick": quick, "parts": found}, indent=1) + "\n")
        print(f"{part}: {_word(found[part])} ({found[part]['seconds']} s)", flush=True)
    print(f"written to {out.name}")
    return int(any("error" in each for each in found.values()))


def attempt(part: Callable[[], Any]) -> dict[str, Any]:
    """What `part` gives, or what kept it from giving it."""
    try:
        return {"result": part()}
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and (package := (error.name or "").partition(".")[0]) not in OWN:
            return {"skipped": f"{package} is not installed"}
        told = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    gc.collect()  # what the failed part held
    return told


def _function(part: str) -> Callable[[Any], Any]:
    module, _, name = PARTS[part].partition(":")
    function: Callable[[Any], Any] = getattr(import_module(f"benchmarks.card.{module}"), name)
    return function


def _word(found: dict[str, Any]) -> str:
    return found.get("error") or (f"skipped, {found['skipped']}" if "skipped" in found else "done")


def limit_for_older_pytorch() -> None:
    """Before PyTorch 2.12 `torch.compile` has no `recompile_limit`: the configuration had one for all threads."""
    if "recompile_limit" in signature(torch.compile).parameters:
        return
    real = torch.compile

    def compiled(*arguments: Any, recompile_limit: int, **options: Any) -> Any:
        torch._dynamo.config.recompile_limit = recompile_limit
        return real(*arguments, **options)

    torch.compile = compiled  # type: ignore[assignment]


if __name__ == "__main__":
    raise SystemExit(main())
