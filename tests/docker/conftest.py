"""The image, built once; each test of this room needs a Docker engine that answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docker.images import build, make_context


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build context of the image."""
    return make_context(tmp_path_factory.mktemp("context"))


@pytest.fixture(scope="session")
def image(context: Path) -> None:
    """The image, built from this checkout."""
    build(context)
