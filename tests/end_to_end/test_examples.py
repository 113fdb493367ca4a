"""What competitors start from: the template passes its own test, and the harness reads what the examples write."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

from evaluation.base.challenge import get_challenge
from evaluation.submitted.folder import read_folder
from harness.compare.bench_plan import make_plan

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_template_passes_its_own_test() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run([*command, EXAMPLES / "template"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def test_the_smallest_container_writes_what_the_judge_reads(tmp_path: Path) -> None:
    challenge = get_challenge("digits")
    (tmp_path / "classes.json").write_text(json.dumps(list(challenge.class_names)))
    (tmp_path / "output").mkdir()
    told = {"SUBMISSION_CLASSES": str(tmp_path / "classes.json"), "SUBMISSION_OUTPUT": str(tmp_path / "output")}
    program = EXAMPLES / "container" / "generate.py"
    subprocess.run([sys.executable, program], env={**os.environ, **told}, check=True, timeout=120)
    contents = read_folder(tmp_path / "output", challenge)
    assert len(contents.images.labels) == 1000 and not contents.dropped


def test_the_cluster_job_of_slurm_is_bash() -> None:
    script = EXAMPLES / "cluster" / "slurm.sh"
    subprocess.run(["bash", "-n", script], check=True, timeout=30)
    (call,) = [line for line in script.read_text().splitlines() if "harness bench" in line]
    check_options(call)


def test_the_cluster_job_of_kubernetes_fits_what_it_asks_for() -> None:
    plan, job = yaml.safe_load_all((EXAMPLES / "cluster" / "kuberay.yaml").read_text())
    make_plan(yaml.safe_load(plan["data"]["bench.yaml"]))
    check_options(job["spec"]["entrypoint"])
    cluster = job["spec"]["rayClusterSpec"]
    pinned = (EXAMPLES.parent / "requirements-dev.txt").read_text()
    assert f"ray=={cluster['rayVersion']}\n" in pinned
    assert f'"ray[default]=={cluster["rayVersion"]}"' in (EXAMPLES / "cluster" / "Dockerfile").read_text()
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        spec = group["template"]["spec"]
        mounted = {mount["name"] for each in spec["containers"] for mount in each["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}


def check_options(call: str) -> None:
    """Every option of this call of `bench` is one."""
    words = shlex.split(call[call.index("harness bench") :])
    told = subprocess.run([sys.executable, "-m", "harness", "bench", "--help"], capture_output=True, text=True)
    for word in words:
        assert not word.startswith("--") or word in told.stdout, word
