"""The weights file of the project's own generators: safetensors with a JSON header that says what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.base.challenge import Challenge
from evaluation.base.files import written_whole
from submission.contract.generator import GeneratorBase

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
SHIPPED = Path(__file__).parents[1] / "shipped"
_KEY = "generative-distillation"  # of the header in the file's metadata


@dataclass(frozen=True)
class WeightsHeader:
    """What a weights file says of itself: the generator and challenge it is for, by name, and the seed of its training.

    Attributes:
        class_names: in label order.
        data: what it was trained on, in words.
        model: what only this generator needs to know, as JSON.
    """

    generator: str
    challenge: str
    class_names: tuple[str, ...]
    data: str
    licence: str
    seed: int
    model: Mapping[str, Any]


def save_weights(path: Path, tensors: Mapping[str, Tensor], header: WeightsHeader, *, half: bool = True) -> None:
    """Write a weights file atomically, floats in fp16 if `half`. Raises ValueError for values that are not finite."""
    from safetensors.torch import save_file

    small = {
        name: (t.half() if half and t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in tensors.items()
    }
    for name, t in small.items():
        if t.is_floating_point() and not t.isfinite().all():
            raise ValueError(f"tensor {name} does not fit in 16 bits; the training has diverged, lower --lr")
    with written_whole(path) as part:
        save_file(small, part, {_KEY: json.dumps({"format": FORMAT, **asdict(header)})})
        part.chmod(0o644)  # the library's own mode shuts out the user that a container runs as


def export_weights(
    folder: Path,
    generator: str,
    challenge: Challenge,
    tensors: Mapping[str, Tensor],
    *,
    trained_on: int,
    seed: int,
    model: Mapping[str, Any],
) -> Path:
    """Write `GENERATOR-CHALLENGE.safetensors` into `folder`, in fp16; returns its path.

    `trained_on` counts images of the training split; `model` is the header's. Raises ValueError as `save_weights` does.
    """
    data = f"{trained_on:,} images of the training split of {challenge.title}, nothing else"
    header = WeightsHeader(generator, challenge.name, challenge.class_names, data, "Apache-2.0", seed, model)
    path = folder / f"{generator}-{challenge.name}.safetensors"
    save_weights(path, tensors, header)
    return path


def load_weights(path: Path, generator: str, challenge: Challenge) -> tuple[dict[str, Tensor], WeightsHeader]:
    """The tensors of a weights file, floating ones in fp32, and its header.

    Raises ValueError if it is missing, damaged, or made for another generator, challenge or set of classes.
    """
    header = read_header(path)
    if header.generator != generator:
        raise ValueError(f"{path} holds weights of generator {header.generator!r}, not of {generator!r}")
    if len(header.class_names) != challenge.classes:
        raise ValueError(
            f"{path} was trained for the {len(header.class_names)} classes of {header.challenge!r}, but"
            f" {challenge.name!r} has {challenge.classes}; give weights of {challenge.name!r}"
        )
    if header.class_names != challenge.class_names:
        wrong = next(i for i in range(challenge.classes) if header.class_names[i] != challenge.class_names[i])
        raise ValueError(
            f"{path} was trained for other classes than {challenge.name!r}: label {wrong} is"
            f" {header.class_names[wrong]!r} there and {challenge.class_names[wrong]!r} here"
        )
    return read_tensors(path), header


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file whose header has been read, floating ones in fp32."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def read_header(path: Path) -> WeightsHeader:
    """The header of a weights file alone. Raises ValueError if the file is missing, damaged or another program's."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return _read_header(path, file.metadata() or {})
    except FileNotFoundError:
        raise ValueError(f"there are no weights at {path}; check the path given as --weights") from None
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged or no safetensors file ({error}); copy or export it again") from None


def find_weights_file(generator: str, challenge: Challenge, source: str | None) -> Path:
    """The weights file of `generator`, one of the project's own.

    `source` is `--weights`: a file, or a folder with `GENERATOR-CHALLENGE.safetensors`; None for the shipped file.
    Raises ValueError if there is none; the sentence has the command that trains it.
    """
    name = f"{generator}-{challenge.name}.safetensors"
    if source is None:
        path = SHIPPED / name
        if not path.is_file():
            raise ValueError(
                f"no weights of {generator!r} are shipped for {challenge.name!r}: train them with `python -m"
                f" submission.training {generator} --dataset {challenge.name} --out weights` and give --weights weights"
            )
        return path
    given = Path(source)
    path = given / name if given.is_dir() else given
    if not path.is_file():
        raise ValueError(f"there are no weights at {path}; give a file or a folder that holds {name} as --weights")
    return path


class OwnWeights(GeneratorBase):
    """A generator of the project's own, with weights that are shipped or trained by `submission.training`."""

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path:
        return find_weights_file(cls.info.name, challenge, source)

    @classmethod
    def weights_settings(cls, weights: Path) -> Mapping[str, Any]:
        return read_header(weights).model


def _read_header(path: Path, metadata: Mapping[str, str]) -> WeightsHeader:
    if _KEY not in metadata:
        raise ValueError(f"{path} is a safetensors file of another program; `submission.training` makes ours")
    try:
        content = json.loads(metadata[_KEY])
        found = content.pop("format")
        if found == FORMAT:
            return WeightsHeader(**{**content, "class_names": tuple(content["class_names"])})
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} has a damaged header ({error!r}); copy or export it again") from None
    raise ValueError(f"{path} has format {found} of our weights files, this version reads {FORMAT}; export it again")
