"""A pretrained model is found in a folder or on the hub, whole, or one sentence says what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from submission.contract.hub import Model, find_model

MODEL = Model("someone/model", ("*.json", "net/*"), ("net/config.json", "net/a.safetensors|net/a.bin"))

# the shortest whole file of each kind
WHOLE = {"json": b"{}", "safetensors": b"\x02" + bytes(7) + b"{}", "bin": b"PK\x05\x06" + bytes(18)}


def lay_out(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(WHOLE[name.rpartition(".")[2]])
    return folder


@pytest.mark.parametrize("weights", ["net/a.safetensors", "net/a.bin"])
def test_a_folder(tmp_path: Path, weights: str) -> None:
    folder = lay_out(tmp_path, "net/config.json", weights)
    assert find_model(MODEL, str(folder)) == folder


def test_a_folder_that_lacks_a_file(tmp_path: Path) -> None:
    lay_out(tmp_path, "net/config.json")
    with pytest.raises(ValueError, match=r"holds no net/a\.safetensors or net/a\.bin; copy the model of someone/model"):
        find_model(MODEL, str(tmp_path))


@pytest.mark.parametrize("half", ["net/config.json", "net/a.safetensors", "net/a.bin"])
def test_half_a_download(tmp_path: Path, half: str) -> None:
    folder = lay_out(tmp_path, "net/config.json", "net/a.safetensors", half)
    (folder / half).write_bytes((folder / half).read_bytes()[:-1])
    with pytest.raises(ValueError, match=rf"{half} is damaged or half a download; copy the model of someone/model"):
        find_model(MODEL, str(folder))


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        find_model(MODEL, str(tmp_path / "nothing"))


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cache


def test_from_the_hub_and_not_here(no_network: Path) -> None:
    with pytest.raises(ValueError, match=r"someone/model is not on this machine yet; a run fetches it"):
        find_model(MODEL, None, fetch=False)
    with pytest.raises(ValueError, match=r"someone/model cannot be fetched .*give its folder as --weights"):
        find_model(MODEL, None)


def test_from_the_hub_and_here_already(no_network: Path) -> None:
    commit = "a" * 40
    repository = no_network / "models--someone--model"
    folder = lay_out(repository / "snapshots" / commit, "net/config.json", "net/a.safetensors")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    assert find_model(MODEL, None, fetch=False) == folder


def test_an_interrupted_download_goes_on(no_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = no_network / "models--someone--model"
    folder = lay_out(repository / "snapshots" / ("a" * 40), "net/config.json")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    with pytest.raises(ValueError, match=r"holds no net/a\.safetensors"):
        find_model(MODEL, None, fetch=False)

    def download(repository: str, allow_patterns: list[str], local_files_only: bool = False) -> str:
        if not local_files_only:
            lay_out(folder, "net/a.safetensors")
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert find_model(MODEL, None) == folder


@contextmanager
def answering(status: int, kind: str, body: bytes) -> Iterator[str]:
    """A server that answers everything in one way; status 0 hangs up instead."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if status:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def online(no_network: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    close_session()
    return monkeypatch


@pytest.mark.parametrize(
    ("status", "kind", "body", "told"),
    [
        (200, "text/html", b"<html>Log in to this network</html>", "no hub of models: JSONDecodeError"),
        (200, "application/json", b"[]", "no hub of models"),
        (200, "application/json", b"{}", "no hub of models"),
        (200, "application/json", b'{"sha": 7, "siblings": 3}', "no hub of models"),
        (0, "", b"", "disconnected|closed|reset"),
        (404, "text/html", b"none", "404"),
        (403, "text/html", b"forbidden by the proxy", "403"),
        (407, "text/html", b"proxy authentication required", "407"),
    ],
)
def test_whatever_answers_instead_of_a_hub_is_one_sentence(
    online: pytest.MonkeyPatch, status: int, kind: str, body: bytes, told: str
) -> None:
    from huggingface_hub import constants

    with answering(status, kind, body) as address:
        online.setattr(constants, "ENDPOINT", address)
        with pytest.raises(
            ValueError, match=rf"someone/model cannot be fetched \(.*({told}).*\); copy it from"
        ) as refusal:
            find_model(MODEL, None)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("proxy", "endpoint"),
    [
        ("socks5://127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://127.0.0.1:9", "http://hub.example"),
        ("no proxy: at all", "http://127.0.0.1:9"),
        (None, "mirror.example"),
        (None, "http://[half an address"),
    ],
)
def test_a_proxy_or_an_address_that_makes_no_sense_is_one_sentence(
    online: pytest.MonkeyPatch, proxy: str | None, endpoint: str
) -> None:
    from huggingface_hub import constants

    if proxy:
        online.setenv("ALL_PROXY", proxy)
    online.setattr(constants, "ENDPOINT", endpoint)
    with pytest.raises(
        ValueError, match=r"someone/model cannot be fetched \(.+\); copy it from a machine with a network"
    ):
        find_model(MODEL, None)
