"""Sending a run to an experiment tracker, by the tracker's own library.

Where it goes is the library's own affair: WANDB_MODE, WANDB_ENTITY, MLFLOW_TRACKING_URI and the like.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from harness.tracking.run_facts import RunFacts

ROUND = "accuracy.round"


def send(facts: RunFacts, to: str, project: str) -> str:
    """Send a run to the tracker called `to`; where it is then, in words.

    Raises ValueError where there is no such tracker, its library is missing, or it refuses.
    """
    if to not in TRACKERS:
        raise ValueError(f"--to takes {' or '.join(TRACKERS)}, not {to!r}")
    module, sender = TRACKERS[to]
    try:
        library = import_module(module)
    except ImportError:
        raise ValueError(
            f"{to} is not installed here; run `pip install -e '.[{to}]'` in the project's folder"
        ) from None
    return sender(library, facts, project)


def _to_wandb(wandb: Any, facts: RunFacts, project: str) -> str:
    # nothing of this process, its machine or its checkout: the run was made elsewhere or earlier
    quiet = wandb.Settings(
        console="off", silent=True, disable_git=True, disable_code=True, x_disable_meta=True, x_disable_stats=True
    )
    try:
        with wandb.init(
            project=project,
            name=facts.name,
            config={**facts.params, **{f"tag.{name}": value for name, value in facts.tags.items()}},
            tags=[value[:64] for value in facts.tags.values()],
            settings=quiet,
        ) as run:
            for number, accuracy in enumerate(facts.rounds):
                run.log({ROUND: accuracy}, step=number)
            run.summary.update(facts.metrics)
            artifact = wandb.Artifact(f"run-{run.id}", type="run")
            for file in facts.files:
                artifact.add_file(str(file))
            run.log_artifact(artifact)
            return str(run.url or f"{run.dir}, to be sent with `wandb sync`")
    except wandb.errors.Error as error:
        raise ValueError(f"wandb refuses: {error}; log in, or set WANDB_MODE=offline") from None


def _to_mlflow(mlflow: Any, facts: RunFacts, project: str) -> str:
    try:
        mlflow.set_experiment(project)
        with mlflow.start_run(run_name=facts.name) as run:
            mlflow.set_tags(facts.tags)
            mlflow.log_params(facts.params)
            mlflow.log_metrics(facts.metrics)
            for number, accuracy in enumerate(facts.rounds):
                mlflow.log_metric(ROUND, accuracy, step=number)
            for file in facts.files:
                mlflow.log_artifact(str(file))
        return f"run {run.info.run_id} at {mlflow.get_tracking_uri()}"
    except mlflow.exceptions.MlflowException as error:
        raise ValueError(f"mlflow refuses: {str(error).splitlines()[0]}; see MLFLOW_TRACKING_URI") from None


# by name: the module of the library, and what sends with it
TRACKERS: Mapping[str, tuple[str, Callable[[Any, RunFacts, str], str]]] = {
    "wandb": ("wandb", _to_wandb),
    "mlflow": ("mlflow", _to_mlflow),
}
