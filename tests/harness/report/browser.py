"""Pages as a browser shows them: Chromium without a window, driven through a pipe, at phone and desktop width.

    python -m tests.harness.report.browser RUN/report.html --out FOLDER

writes a picture of the whole page at 1280 and at 390 pixels, in light and in dark.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
MOST_PIXELS = 12_000  # of a picture's height
_TIMEOUT_S = 120
_SEND, _RECEIVE = 3, 4  # descriptors on which Chromium is spoken to


def find_browser() -> str | None:
    """Chromium or Chrome, None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


class Browser:
    """One page of a browser; `call` is a method of the DevTools protocol."""

    def __init__(self, to: int, since: int) -> None:
        self._to, self._from = os.fdopen(to, "wb", buffering=0), os.fdopen(since, "rb", buffering=0)
        self._last, self._unread, self._session = 0, b"", ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Raises RuntimeError where the browser refuses."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._last:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])

    def open(self, page: Path, width: int, scheme: str, fragment: str = "") -> None:
        """Load a page, which is another than before where there is a `fragment`, and wait until it is there."""
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=page.resolve().as_uri() + fragment)
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def ask(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def picture(self, width: int) -> bytes:
        """The whole page as a PNG."""
        height = min(int(self.ask("document.documentElement.scrollHeight")), MOST_PIXELS)
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            more = self._from.read(1 << 20)
            if not more:
                raise RuntimeError("the browser has gone away")
            self._unread += more
        message, _, self._unread = self._unread.partition(b"\0")
        return dict(json.loads(message))

    def close(self) -> None:
        self._to.close()
        self._from.close()


@contextmanager
def browsing(command: str) -> Iterator[Browser]:
    """Start the browser `command`; it and its files are gone afterwards."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()

    def connect() -> None:
        # through descriptors that are neither 3 nor 4, so that neither overwrites the other
        high = [os.dup2(end, number) for end, number in ((to_read, 50), (from_write, 51))]
        os.dup2(high[0], _SEND)
        os.dup2(high[1], _RECEIVE)

    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"]
        process = subprocess.Popen(
            [command, *options, f"--user-data-dir={profile}"],
            preexec_fn=connect,
            pass_fds=(to_read, from_write, _SEND, _RECEIVE),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        browser = Browser(to_write, from_read)
        try:
            yield browser
        finally:
            browser.call("Browser.close")
            browser.close()
            process.wait(_TIMEOUT_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    command = find_browser()
    if command is None:
        raise SystemExit("there is no Chromium on this machine; install it (Debian: apt-get install chromium)")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with browsing(command) as browser:
        for width in WIDTHS:
            for scheme in SCHEMES:
                browser.open(arguments.page, width, scheme)
                path = arguments.out / f"{arguments.page.stem}-{width}-{scheme}.png"
                path.write_bytes(browser.picture(width))
                print(path)


if __name__ == "__main__":
    main()
