"""The generator's contract and its registry: load once, then make images for labels.

It knows nothing of time, but how much is left as it loads: some learn until most of it is over.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from evaluation.base.challenge import Challenge
from submission.contract.settings import Setting, Settings, resolve_settings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from evaluation.base.images import ImageSet
    from submission.contract.exhibit import Exhibit

ENTRY_POINTS = "submission.generators"

# name -> "module:class"; adding a generator is one file and one line here.
_BUILT_IN = {
    "native": "submission.generators.native:Native",
    "distilled": "submission.generators.distilled:Distilled",
    "distilling": "submission.generators.distilling:Distilling",
    "gaussian": "submission.generators.gaussian:Gaussian",
    "sdxl-turbo": "submission.generators.sdxl_turbo:SdxlTurbo",
    "dit": "submission.generators.dit:DiTGenerator",
    "dit-minmax": "submission.generators.dit_minmax:DiTMinMax",
    "consistency": "submission.generators.consistency:Consistency",
    "edm": "submission.generators.edm:Edm",
    "selection": "submission.generators.selection:Selection",
    "rded": "submission.generators.rded:Rded",
    "prototypes": "submission.generators.prototypes:Prototypes",
    "real": "submission.generators.real:Real",
    "noise": "submission.generators.noise:Noise",
}


@dataclass(frozen=True)
class GeneratorInfo:
    """What a generator says of itself; shown by `python -m harness generators` and carried by the record.

    Attributes:
        name: what `--generator` takes.
        summary: one sentence.
        default_steps: denoising steps where none are asked for; 1 where steps mean nothing.
        default_batch: images per `generate` call where no profile says better, on a CPU.
        external_data, pretrained: data beyond the challenge's training split, and weights, by others; empty for none.
        weights_from, licence: where its weights come from, and their licence, in words.
        needs_training_images: whether it reads real training images while it generates.
        copies: whether it writes training images or parts of them; its runs are in the `copying` category.
        parts: whether several threads may `generate` parts of a batch, faster on a CPU than sharing every operation.
        settings: what `--set NAME=VALUE` can change.
        useful_ipc: by data set, the images per class at which a run stops by itself: more of them gained nothing.
    """

    name: str
    summary: str
    default_steps: int = 1
    default_batch: int = 64
    external_data: str = ""
    pretrained: str = ""
    weights_from: str = "none needed"
    licence: str = "Apache-2.0"
    needs_training_images: bool = False
    copies: bool = False
    parts: bool = False
    settings: tuple[Setting[Any], ...] = ()
    useful_ipc: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadContext:
    """What a generator gets to load.

    Attributes:
        challenge: what to make images for.
        device: a torch device name, `cpu` or `cuda`.
        weights: a local file or folder of weights, None where the generator needs none.
        training_images: an `.npz` of the training split, `images` uint8 (N, 3, H, W) and `labels` int64 (N,); None
            unless `info.needs_training_images`.
        seed: the run's, which a Selector orders its choices by; a Generator has one seed per image instead.
        settings: what the user set, as text; `GeneratorBase.resolve_settings` gives the values.
        seconds_left: to the deadline as the loading begins, for a generator that learns in the run.
    """

    challenge: Challenge
    device: str
    weights: Path | None = None
    training_images: Path | None = None
    seed: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    seconds_left: float = 0.0

    def read_training_images(self) -> ImageSet:
        """All images of the challenge's training split, as the harness stored them for the generator's process."""
        import numpy as np

        from evaluation.base.images import ImageSet

        assert self.training_images is not None, "the job of a generator that needs training images names them"
        with np.load(self.training_images, allow_pickle=False) as stored:
            return ImageSet(stored["images"], stored["labels"])


class GeneratorBase(ABC):
    """What every generator has: it says what it is, finds its weights before the clock, and loads on it."""

    info: ClassVar[GeneratorInfo]

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path | None:
        """The weights to load for `challenge`, found or fetched before the clock starts; None where it needs none.

        Args:
            source: `--weights`, None for the default.

        Raises ValueError if there are none, or they do not fit; the sentence says what to do.
        """
        if source is not None:
            raise ValueError(f"generator {cls.info.name!r} takes no weights; leave out --weights")
        return None

    @classmethod
    def check_weights(cls, challenge: Challenge) -> None:
        """Raises ValueError where a run for `challenge` without `--weights` would lack them; fetches nothing."""
        cls.find_weights(challenge, None)

    @classmethod
    def resolve_settings(cls, given: Mapping[str, str], weights: Path | None = None) -> Settings:
        """The value of every setting: the user's in `given`, else what the weights say, else the declared default.

        `weights` is None where they have not been looked for yet. Raises ValueError for unknown settings and values.
        """
        defaults = {} if weights is None else cls.weights_settings(weights)
        settings = resolve_settings(cls.info.name, cls.info.settings, given, defaults)
        cls.check_settings(settings, weights)
        return settings

    @classmethod
    def weights_settings(cls, weights: Path) -> Mapping[str, Any]:
        """Defaults, by name, that weights have in the place of the declared ones."""
        return {}

    @classmethod  # noqa: B027 - most have nothing to say
    def check_settings(cls, settings: Settings, weights: Path | None) -> None:
        """Check settings against each other and, once found, the weights. Raises ValueError if they do not fit."""

    @classmethod
    def default_steps(cls, weights: Path | None) -> int:
        """Denoising steps where the user asks for none; weights may have been tuned to others than the generator's."""
        return cls.info.default_steps

    @classmethod
    @abstractmethod
    def load(cls, context: LoadContext) -> GeneratorBase:
        """Build the generator on `context.device`. Raises ValueError for weights that do not fit."""

    def networks(self) -> Sequence[nn.Module]:
        """The networks that do the work, to be compiled where the setting `compile` is one of its own."""
        return ()

    def exhibit(self) -> Exhibit | None:
        """What it has to show of how it works, for the report; None for nothing."""
        return None


class Generator(GeneratorBase):
    """Makes images for labels. Pacing, balance, resizing, PDA and writing are the worker's."""

    @abstractmethod
    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """Make one image per label: uint8 (B, 3, H, W) in [0, 255], at the generator's own size, on any device.

        Args:
            labels_B: int64 (B,), values in [0, classes), on the CPU.
            seeds_B: int64 (B,), on the CPU: image i depends on its label, its seed and `steps` alone, not on B.
            steps: denoising steps, at least 1.
        """

    def generate_numbered(self, labels_B: Tensor, indices_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """As `generate`, and what a run calls; for generators that spread a class's images evenly over what they know.

        Args:
            indices_B: int64 (B,), 0 for the first image of a class, on the CPU.
        """
        return self.generate(labels_B, seeds_B, steps)


class Selector(GeneratorBase):
    """Takes images rather than makes them: image i of a class is its i-th choice, and the choices run out."""

    @abstractmethod
    def available(self) -> int:
        """Images per class that it can give before it would repeat itself."""

    @abstractmethod
    def select(self, labels_B: Tensor, indices_B: Tensor) -> Tensor:
        """The `indices_B`-th choices (int64, in [0, `available()`)) of the classes `labels_B`: uint8 (B, 3, H, W)."""


def generator_names() -> list[str]:
    """Every generator that can be asked for, the built-in ones first."""
    return [*_BUILT_IN, *sorted(set(_plugins()) - set(_BUILT_IN))]


def shadowed_plugins() -> list[str]:
    """A sentence on each plugin that cannot be asked for because its name is taken."""
    return [
        f"{_packaged(entry)} has a generator {name!r} too, which is not used: rename it"
        for name, entries in sorted(_plugins().items())
        for entry in entries[0 if name in _BUILT_IN else 1 :]
    ]


def _plugins() -> dict[str, list[EntryPoint]]:
    """Entry points by name, in a fixed order where several have the same."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, entry.value)):
        found.setdefault(entry.name, []).append(entry)
    return found


def _packaged(entry: EntryPoint) -> str:
    """`package NAME (module:Class)`."""
    return f"package {entry.dist.name if entry.dist else '?'} ({entry.value})"


def get_generator(name: str) -> type[GeneratorBase]:
    """The generator `name`, built in or an entry point `submission.generators`.

    Raises ValueError if there is none, or it cannot be loaded.
    """
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        found = getattr(import_module(module), attribute)
    else:
        entries = _plugins().get(name)
        if not entries:
            raise ValueError(f"no generator is called {name!r}; choose one of: {', '.join(generator_names())}")
        try:
            found = entries[0].load()
        except (Exception, SystemExit) as error:  # whatever a stranger's module does when it is imported
            raise ValueError(
                f"generator {name!r} of {_packaged(entries[0])} cannot be loaded: {type(error).__name__}: {error};"
                " mend or uninstall that package"
            ) from error
    if not (isinstance(found, type) and issubclass(found, GeneratorBase)):
        raise ValueError(f"generator {name!r} is {found!r}, not a class made from submission.contract.generator")
    if not isinstance(getattr(found, "info", None), GeneratorInfo):
        raise ValueError(f"generator {name!r} does not say what it is; give its class an `info = GeneratorInfo(...)`")
    return found
