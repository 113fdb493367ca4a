"""What is hidden from a stranger's `--command`: the real data, and services that would run something for it."""

import os
from pathlib import Path

from evaluation.data.datasets import real_data_places
from harness.clock.launch import Launch
from harness.run.options import RunOptions

# A process that one of these starts does not descend from the generator, so the clock could not end it.
_SERVICES = (
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
)


def hidden_from_command(options: RunOptions, launch: Launch, output: Path) -> list[Path] | None:
    """Files and folders to hide from the program; None for one that is trusted.

    Nothing where the program, what its command line names, its folder or its output lie in the real data's own folders.
    """
    if options.trust:
        return None
    places = real_data_places(options.challenge, options.data)
    needed = [output, launch.cwd, *(launch.cwd / word for word in launch.command if os.sep in word)]
    if any(needs.resolve().is_relative_to(place) for needs in needed for place in places):
        return []
    return [*places, *(service for name in _SERVICES if (service := Path(name)).exists())]
