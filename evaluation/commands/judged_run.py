"""A run that is judged by the judge's own command: its record and its report get what was found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from evaluation.base.challenge import Challenge
from evaluation.base.files import check_writable, claimed, write_text
from evaluation.base.machine import Machine
from evaluation.base.untrusted import UnreadableFileError, read_regular
from evaluation.submitted.run_record import RECORD, RunRecord

REPORT = "report.html"
_MAX_BYTES = 2**28
_BEGIN, _END = "<!-- judged by python -m evaluation -->", "<!-- judged -->"
_PLACE = "<main>"
_BARE_PAGE = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
    "<style>:root {{ color-scheme: light dark; }} body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto;"
    " max-width: 60em; padding: 0 1em; }} td {{ padding: 2px 12px 2px 0; vertical-align: top; }}</style></head>\n"
    "<body><main>\n</main></body></html>\n"
)


@contextmanager
def held_run(run: RunRecord | None) -> Iterator[None]:
    """Inside, nobody else writes into the run's folder. Raises ValueError where somebody does, or it is not ours."""
    if run is None:
        yield
        return
    check_writable(run.folder / RECORD)
    with claimed(run.folder) as free:
        if not free:
            raise ValueError(f"a harness is at work in {run.folder}; wait until it has ended")
        yield


def why_not_kept(run: RunRecord, reordered: bool, epochs: int, rounds: int) -> str | None:
    """Why a judgement does not become the run's own, as a sentence; None where it does."""
    if reordered:
        return f"The record in {run.folder} stays as it is: its images have other labels than --class-order gives them."
    if run.judged is not None and run.judged > (epochs, rounds):
        before = f"{run.judged[0]:,} epochs and {run.judged[1]} rounds"
        return f"The record in {run.folder} keeps its accuracy, which is of {before}."
    return None


def keep(run: RunRecord, found: dict[str, Any], machine: Machine, sentences: list[str], challenge: Challenge) -> None:
    """Write what `--json` prints into the run's record, and `sentences` with the audits to the top of its report."""
    record = {**run.content, "judged_on": asdict(machine)}
    if found["audits"]:
        record |= {"audits": found["audits"], "ipc": {**(run.content.get("ipc") or {}), **found["ipc"]}}
    if found["accuracy"]:
        record |= {name: found[name] for name in ("accuracy", "real_equivalent_ipc", "real_equivalent")}
        baseline = run.content.get("baseline")
        if baseline and baseline["accuracy"]["epochs"] != found["epochs"]:
            record["baseline"] = None  # judged otherwise, so nothing to compare with
    write_text(run.folder / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    title = f"{challenge.title} · {run.content.get('generator') or 'submission'}"
    page = with_judgement(_page(run.folder / REPORT, title), _section(sentences, found["audits"], machine))
    write_text(run.folder / REPORT, page)


def with_judgement(page: str, section: str) -> str:
    """`page` with the section at its top, in the place of a former one."""
    before, begin, rest = page.partition(_BEGIN)
    page = before + rest.partition(_END)[2] if begin else page
    before, place, after = page.partition(_PLACE)
    return f"{before}{place}{_BEGIN}{section}{_END}{after}"


def _page(path: Path, title: str) -> str:
    """The run's report; an empty page where there is none that a section could go into."""
    try:
        page = read_regular(path, _MAX_BYTES).decode("utf-8", errors="replace")
    except UnreadableFileError:
        page = ""
    return page if _PLACE in page else _BARE_PAGE.format(title=escape(title))


def _section(sentences: list[str], audits: list[dict[str, Any]], machine: Machine) -> str:
    tones = {"pass": "good", "warn": "warn", "fail": "bad"}
    rows = "".join(
        f'<tr><td><span class="badge {tones[audit["status"]]}">{audit["status"]}</span></td>'
        f"<td>{escape(audit['name'].replace('_', ' '))}</td><td>{escape(audit['evidence'])}</td></tr>"
        for audit in audits
    )
    first, *others = map(escape, sentences)
    told = f"<p><strong>{first}</strong></p>" + "".join(f"<p>{other}</p>" for other in others)
    where = escape(f"{machine.gpu or machine.processor}, {machine.cores} cores, {machine.at}; commit {machine.commit}")
    return (
        f'<section><h2>Judged later</h2>{told}<div class="scroll"><table>{rows}</table></div>'
        f'<p class="legend">By python -m evaluation on {where}. What this page says below of accuracy and audits is'
        " older.</p></section>"
    )
