"""A real browser for tests, driven through Chromium's debugging pipe: keys, pointers, screenshots, downloads."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from helpers import CHROMIUM

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
PATIENCE = 60
"""Seconds to wait for an answer, or for something to become true."""
CODES = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


class Browser:
    """One page in a headless Chromium with a fresh profile.

    Args:
        folder: an empty folder for the profile and the downloads.
    """

    def __init__(self, folder: Path) -> None:
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True)
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        joined = ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "-", *command]
        self._process = subprocess.Popen(
            joined, pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        self._number, self._rest = 0, b""
        self._session: str | None = None
        self.errors: list[str] = []
        targets = self._call("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        self._call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads), whole=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._write)
        self._process.terminate()
        self._process.wait(PATIENCE)
        os.close(self._read)

    def open(self, address: str) -> None:
        """Open an address and wait until it is loaded."""
        self._call("Page.navigate", url=address)
        self.until(lambda: bool(self.value("document.readyState === 'complete' && location.href !== 'about:blank'")))

    def value(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        told = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise AssertionError(told["exceptionDetails"])
        return told["result"].get("value")

    def text(self, selector: str) -> str:
        """The text of the first element."""
        return str(self.value(f"document.querySelector({json.dumps(selector)}).innerText"))

    def press(self, key: str, place: str = "") -> None:
        """Press and release a key, as a person does; `place` is its `code`, where the layout gives it another sign."""
        code = CODES.get(key, ord(key.upper()) if len(key) == 1 else 0)
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        told = {"key": key, "code": place, "windowsVirtualKeyCode": code}
        self._call("Input.dispatchKeyEvent", type="keyDown", **told, **text)
        self._call("Input.dispatchKeyEvent", type="keyUp", **told)

    def type(self, text: str) -> None:
        """Insert a text where the cursor is."""
        self._call("Input.insertText", text=text)

    def pointer(self, kind: str, x: float, y: float, **more: Any) -> None:
        """An event of the mouse: `mousePressed`, `mouseMoved`, `mouseReleased`, `mouseWheel`."""
        self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, selector: str) -> None:
        """Click the middle of the first element."""
        where = f"document.querySelector({json.dumps(selector)})"
        self.value(f"{where}.scrollIntoView({{block: 'center'}})")
        box = self.value(f"(({{x, y, width, height}}) => ({{x, y, width, height}}))({where}.getBoundingClientRect())")
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        for kind in ("mousePressed", "mouseReleased"):
            self.pointer(kind, x, y, button="left", clickCount=1)

    def look(self, width: int, height: int, dark: bool = False) -> None:
        """Choose the window's size, and a light or dark scheme."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, file: Path) -> None:
        """Write a picture of the window, a PNG."""
        file.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until a condition is true."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, f"not within {PATIENCE} seconds; errors of the page: {self.errors}"
            time.sleep(0.05)

    def _call(self, method: str, whole: bool = False, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None and not whole:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                assert "error" not in told, told["error"]
                result: dict[str, Any] = told["result"]
                return result

    def _next(self) -> dict[str, Any]:
        """The next message of the browser; errors of the page are kept."""
        while b"\0" not in self._rest:
            block = os.read(self._read, 1 << 16)
            assert block, "the browser has ended"
            self._rest += block
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(message["params"]["exceptionDetails"]))
        entry = message.get("params", {}).get("entry", {}) if message.get("method") == "Log.entryAdded" else {}
        if entry.get("level") == "error":
            self.errors.append(str(entry.get("text")))
        return message
