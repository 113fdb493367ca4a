"""Runs sent to the trackers' own libraries, without a network; skipped where a library is not installed."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.records.run_folder import RunFolder
from harness.tracking import trackers
from harness.tracking.run_facts import RunFacts, run_facts
from harness.tracking.trackers import ROUND, send
from tests.harness.clock.clocked import wait_until
from tests.harness.records.samples import record


@pytest.fixture
def facts(tmp_path: Path) -> RunFacts:
    folder = RunFolder(tmp_path / "mine")
    of = record(settings={"guidance": "2"})
    of.save(folder.record)
    folder.report.write_text("<main>the report</main>")
    return run_facts(folder, of)


def _records(file: Path) -> Iterator[bytes]:
    """The records of W&B's transaction log: LevelDB's log format, after seven bytes of its own."""
    content, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(content):  # the last one may be being written
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", content, at)
        whole += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4) and len(content) >= at:  # whole, or the last of its parts
            yield whole
            whole = b""


def test_wandb_holds_the_run_offline(facts: RunFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="needs wandb: pip install -e '.[wandb]'")
    from wandb.proto.wandb_internal_pb2 import Record as Line

    for name, value in {"MODE": "offline", "DIR": tmp_path, "DATA_DIR": tmp_path, "CACHE_DIR": tmp_path}.items():
        monkeypatch.setenv(f"WANDB_{name}", str(value))
    assert "wandb sync" in send(facts, "wandb", "project")
    (file,) = tmp_path.rglob("*.wandb")

    def lines() -> list[Any]:
        return [Line.FromString(each) for each in _records(file)]

    # W&B writes in a process of its own, which on a busy machine was seen not to have done so yet.
    wait_until(lambda: any(line.HasField("exit") for line in lines()), "the run is not written", 60)
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    rounds, files = [], set()
    for line in lines():
        config |= {item.key: json.loads(item.value_json) for item in line.run.config.update}
        summary |= {
            (item.key or ".".join(item.nested_key)): json.loads(item.value_json) for item in line.summary.update
        }
        rounds += [json.loads(item.value_json) for item in line.history.item if ROUND in (item.key, *item.nested_key)]
        files |= {entry.path for entry in line.request.log_artifact.artifact.manifest.contents}
        files |= {entry.path for entry in line.artifact.manifest.contents}
    assert config["settings.guidance"] == "2" and config["tag.protocol"] == "full"
    assert summary["accuracy"] == 0.9 and summary["seconds.generate"] == 37.0
    assert rounds == [0.89, 0.9, 0.91]
    assert files == {"record.json", "report.html"}


def test_mlflow_holds_the_run_in_a_folder(facts: RunFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs mlflow: pip install -e '.[mlflow]'")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    assert "store" in send(facts, "mlflow", "project")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("project")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "mine" and run.data.params["settings.guidance"] == "2"
    assert run.data.metrics["accuracy"] == 0.9 and run.data.tags["protocol"] == "full"
    history = client.get_metric_history(run.info.run_id, ROUND)
    assert [(each.step, each.value) for each in history] == [(0, 0.89), (1, 0.9), (2, 0.91)]
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"record.json", "report.html"}


@pytest.mark.parametrize("name", list(trackers.TRACKERS))
def test_a_library_that_is_missing_is_named(facts: RunFacts, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}")

    monkeypatch.setattr(trackers, "import_module", missing)
    with pytest.raises(ValueError, match=rf"{name} is not installed here; run `pip install -e '.\[{name}\]'`"):
        send(facts, name, "project")


def test_only_trackers_that_are_known(facts: RunFacts) -> None:
    with pytest.raises(ValueError, match="--to takes wandb or mlflow, not 'comet'"):
        send(facts, "comet", "project")
