"""How the harness, the guard and what a guard starts talk to each other. Standard library only."""

import json
import socket
from contextlib import suppress
from typing import Any


class Channel:
    """JSON objects over a stream socket, one a line."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._received = b""

    def fileno(self) -> int:
        return self._stream.fileno()

    def send(self, **message: object) -> None:
        """Raises OSError when the other side is gone."""
        self._stream.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """The next message, waited for; None when the other side has closed or is gone."""
        while b"\n" not in self._received:
            data = b""
            with suppress(ConnectionError):
                data = self._stream.recv(1 << 16)
            if not data:
                return None
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def finish(self) -> None:
        """Say that no more will be sent. The other side's answers can still be received."""
        with suppress(OSError):
            self._stream.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._stream.close()
