"""A stranger's container before it runs: whose it is, and what it gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.clock.container.engine import Image
from harness.clock.container.limits import Limits

if TYPE_CHECKING:
    from docker import DockerClient


@dataclass(frozen=True)
class Visitor:
    """Whose container is run, and what it gets.

    Attributes:
        client: of the engine.
        gpu: the card that it gets, by the driver's number or name; None for none.
        class_names: in label order; all that it gets to read beside its image.
    """

    client: DockerClient
    image: Image
    limits: Limits
    gpu: str | None
    class_names: Sequence[str]

    @property
    def described(self) -> dict[str, Any]:
        """What a record says of it."""
        image = {"image": self.image.name, "image_id": self.image.id, "image_digests": list(self.image.digests)}
        return {**image, "limits": asdict(self.limits), "card": self.gpu}
