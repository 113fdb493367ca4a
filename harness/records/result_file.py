"""What all files of results have in common: their schema, how they are written whole, and how they are read.

A file may come from anybody: what is read is of the schema of this version and can be true, or it is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluation.base.files import write_text
from evaluation.base.untrusted import printable
from evaluation.submitted.run_record import SCHEMA
from harness.records.plausible import check_numbers

MOST_BYTES = 64 << 20


class Part(BaseModel):
    """A part of a file that others read: no key beyond those named here."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)


class ResultFile(Part):
    """A whole file of results."""

    # what people call it
    called: ClassVar[str] = "file of results"

    # `schema` on disk; pydantic has a method of that name
    version: int = Field(default=SCHEMA, alias="schema")

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_text(path, self.to_json() + "\n")

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, indent=2)

    def check(self) -> None:
        """Raises ValueError, `where: what`, for what cannot be true."""
        check_numbers(self.model_dump(by_alias=True))

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `path` holds.

        Raises:
            FileNotFoundError, NotADirectoryError: there is no such file.
            ValueError: it is no such file of this schema, or cannot be true; one sentence.
        """
        if path.exists() and not path.is_file():
            raise ValueError(f"{path} is no file, so it is no {cls.called}")
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{path} is no {cls.called}: it has more than {MOST_BYTES >> 20} MiB")
        content = path.read_bytes()
        try:
            found = cls.model_validate_json(content)
        except ValidationError as error:
            _check_schema(path, content)
            first = error.errors()[0]
            where = printable(".".join(map(str, first["loc"]))) or "the file"
            raise ValueError(f"{path} is no {cls.called} of schema {SCHEMA}: {where}: {first['msg']}") from None
        _check_schema(path, content)
        try:
            found.check()
        except ValueError as error:
            raise ValueError(f"{path} is a {cls.called} that cannot be true: {error}") from None
        return found


def _check_schema(path: Path, content: bytes) -> None:
    """Raises ValueError where `content` says that it is of another schema."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return
    schema = told.get("schema", SCHEMA) if isinstance(told, dict) else SCHEMA
    if isinstance(schema, int) and schema != SCHEMA:
        raise ValueError(f"{path} is of schema {schema}, not of {SCHEMA}; read it with the version that wrote it")
