"""`new`: a working package of a competitor's generator, to start from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from evaluation.base.command_line import ExitCode, Options
from submission.contract.generator import generator_names

if TYPE_CHECKING:
    from harness.report.console import Voice

_TEMPLATE = Path(__file__).with_name("new_template")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class NewOptions(Options):
    """Options of `new`."""

    name: Annotated[str, Argument(help="Of the generator: small letters, digits and dashes.")]
    out: Annotated[Path | None, Option(help="Folder to write. Default: the name.")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} is no name for a generator; use small letters, digits and dashes: my-model"
            )
        if self.name in generator_names():
            raise ValueError(f"there is a generator {self.name!r} already; choose another name")


def new(options: NewOptions, voice: Voice) -> ExitCode:
    """Write a package with a generator of your own that works: a class, its entry point and its test."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = options.out or Path(options.name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists already; choose another --out")
    module = options.name.replace("-", "_")
    values = {"name": options.name, "module": module, "class_name": options.name.title().replace("-", "")}
    templates = Environment(
        loader=FileSystemLoader(_TEMPLATE), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    folder.mkdir(parents=True, exist_ok=True)
    for template in sorted(templates.list_templates()):
        file = folder / template.removesuffix(".jinja").replace("module", module)
        file.write_text(templates.get_template(template).render(values), encoding="utf-8")
    voice.say(f"Written: {folder}. Next:")
    voice.say(f"  pip install -e {folder}")
    voice.say(f"  python -m harness --dataset digits --generator {options.name} --epochs 60")
    return ExitCode.DONE
