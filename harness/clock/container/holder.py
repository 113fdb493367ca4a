"""The holder: a container that does nothing but keep the output volume mounted, and with it what is written there.

A volume in memory is empty once the last container that has it mounted ends. The holder runs in the stranger's own
image, so that none other is needed. Through it the class names come in and the images out.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.clock.cgroup import group_of
from harness.clock.container import engine
from harness.clock.container.changes import ALL_IN_TIME, Changes, read_changes
from harness.clock.container.limits import CLASSES, OUTPUT, TERMS, Limits, restrictions
from harness.clock.container.output import Copied, CopyLimits, copy_archive, copy_folder
from harness.clock.container.programs import HOLD, LIST_CHANGES, Program, archive
from harness.clock.container.visitor import Visitor


class Holder:
    """A run's volumes on the engine and the container that holds them.

    Attributes:
        created_in_s: seconds that the engine took to make the container.
    """

    def __init__(self, visitor: Visitor, run: str, labels: Mapping[str, str]) -> None:
        """Make and start it.

        Args:
            visitor: whose container will write to the output volume.
            run, labels: the run's name, and what is stuck on everything that it has on the engine.

        Raises:
            ValueError: the engine refuses, or the image is of an architecture that is not supported.
        """
        self._client, self._most_bytes = visitor.client, visitor.limits.output_bytes
        with engine.refusals("the container engine refuses the output volume", "see that it is Docker or Podman"):
            self._volumes = {}
            for path, what, options in ((OUTPUT, "output", visitor.limits.volume_options), (TERMS, "terms", {})):
                name = self._volumes[path] = f"submission-{run}-{what}"
                visitor.client.volumes.create(name, driver="local", driver_opts=dict(options), labels=dict(labels))
        image = visitor.image
        programs = {program.name: program.for_architecture(image.architecture) for program in (HOLD, LIST_CHANGES)}
        with engine.refusals("the container engine refuses the volume's holder", "see that it runs Linux containers"):
            began = time.monotonic()
            self._container = visitor.client.containers.create(
                image.id,
                entrypoint=[_path(HOLD)],
                command=[],
                labels=dict(labels),
                mounts=self.mounts(terms_writable=True),
                **restrictions(Limits.of_holder(), image, read_only=False, init=False),
            )
            self.created_in_s = time.monotonic() - began
            self._container.put_archive("/", archive(programs))
            names = json.dumps(list(visitor.class_names), indent=1).encode() + b"\n"
            self._container.put_archive(str(TERMS), archive({CLASSES.name: names}))
            self._container.start()
            self._container.reload()
        self._pid = engine.local_pid(self._container.attrs["State"], self._container.id)
        self._output = self._open_output()

    def mounts(self, terms_writable: bool = False) -> list[Any]:
        """The volumes, as a container gets them."""
        from docker.types import Mount

        # Copying the image's own folder into the volume would also give the volume that folder's owner and mode.
        return [
            Mount(str(OUTPUT), self._volumes[OUTPUT], type="volume", no_copy=True),
            Mount(str(TERMS), self._volumes[TERMS], type="volume", no_copy=True, read_only=not terms_writable),
        ]

    def group_beside(self, container_id: str) -> str | None:
        """Where a container's control group will be, if we see the engine's: beside this one's, named in its way."""
        group = group_of(self._pid, self._container.id) if self._pid is not None else None
        name = group and group.folder.name.replace(self._container.id, container_id)
        return str(group.folder.with_name(name)) if group and name else None

    def copy_output(self, folder: Path, until: float, give_up: float) -> Copied:
        """Copy what was left in the output volume to `folder`.

        Args:
            until, give_up: as in `CopyLimits`.

        Raises:
            ValueError: the engine does not give it.
        """
        limits = CopyLimits(self._most_bytes, until, give_up)
        if self._output is not None:
            return copy_folder(self._output, folder, limits)
        changes = self._changes() if until < math.inf else ALL_IN_TIME
        with engine.refusals("the images cannot be copied out of the container", "see whether the engine still runs"):
            chunks, _ = self._container.get_archive(str(OUTPUT))
            return copy_archive(chunks, folder, limits, changes)

    def close(self) -> None:
        """Let go of the output folder; the container is removed with all that the run has on the engine."""
        if self._output is not None:
            os.close(self._output)
            self._output = None

    def _open_output(self) -> int | None:
        """A descriptor of the output folder, if we are root on the engine's machine."""
        if self._pid is not None and os.geteuid() == 0:
            with suppress(OSError):
                return os.open(f"/proc/{self._pid}/root{OUTPUT}", os.O_RDONLY | os.O_DIRECTORY)
        return None

    def _changes(self) -> Changes | None:
        """When the files in the output volume were last changed; None where the engine does not let us know."""
        with suppress(ValueError, *engine.problems()):
            return read_changes(self._list_changes)
        return None

    def _list_changes(self) -> Iterable[bytes]:
        api = self._client.api
        program = api.exec_create(self._container.id, [_path(LIST_CHANGES)], stderr=False, workdir=str(OUTPUT))
        output: Iterable[bytes] = api.exec_start(program["Id"], stream=True)
        return output


def _path(program: Program) -> str:
    return f"/{program.name}"
