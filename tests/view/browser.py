"""A headless Chromium, spoken to over a pipe: its DevTools protocol needs no other package."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

NAMES = ("chromium", "chromium-browser", "google-chrome")

_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # Containers run as root, and the pages are our own.
    "--use-angle=swiftshader",  # The same pictures on every machine, with or without a graphics card.
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-extensions",
    "--force-color-profile=srgb",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    "--hide-scrollbars",
    "--no-first-run",
)


_HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def executable() -> str | None:
    """Where Chromium is, if it is anywhere."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One process; close it."""

    def __init__(self, folder: Path) -> None:
        # Chromium reads its orders from descriptor 3 and answers on 4.
        orders, self._to = os.pipe()
        self._from, answers = os.pipe()
        given = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (orders, answers)]
        program = [executable() or "chromium", *_FLAGS, f"--user-data-dir={folder}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HAND_OVER, *map(str, given), *program],
            pass_fds=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for fd in (orders, answers, *given):
            os.close(fd)
        self._heard: dict[int, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._count = 0
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        rest = b""
        while piece := os.read(self._from, 1 << 20):
            *messages, rest = (rest + piece).split(b"\0")
            with self._news:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._heard[message["id"]] = message
                    else:
                        self.events.append(message)
                self._news.notify_all()

    def call(self, method: str, session: str = "", /, timeout_s: float = 60, **params: Any) -> dict[str, Any]:
        """Give an order and wait for the answer."""
        with self._news:
            self._count += 1
            number = self._count
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        with self._news:
            if not self._news.wait_for(lambda: number in self._heard, timeout_s):
                raise TimeoutError(f"{method} was not answered.")
            answer = self._heard.pop(number)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def open(self, url: str, **options: Any) -> Page:
        """A page in a tab of its own."""
        return Page(self, url, **options)

    def close(self) -> None:
        """End the process and wait for it."""
        self.call("Browser.close", timeout_s=10)
        self._process.wait(20)
        self._listener.join(10)
        os.close(self._to)
        os.close(self._from)


class Page:
    """One tab."""

    def __init__(
        self, browser: Browser, url: str, *, hw: tuple[int, int] = (270, 480), calm: bool = True, before: str = ""
    ) -> None:
        self._browser = browser
        self._target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(hw)
        preference = {"name": "prefers-reduced-motion", "value": "reduce" if calm else "no-preference"}
        self.call("Emulation.setEmulatedMedia", features=[preference])
        if before:
            self.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        self.call("Page.navigate", url=url)

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Give an order to this tab."""
        return self._browser.call(method, self._session, **params)

    def resize(self, hw: tuple[int, int]) -> None:
        """Make the window of another size."""
        self.call("Emulation.setDeviceMetricsOverride", width=hw[1], height=hw[0], deviceScaleFactor=1, mobile=False)

    def run(self, script: str) -> Any:
        """The value of an expression; promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, timeout_s: float = 15) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + timeout_s
        while not self.run(script):
            assert time.monotonic() < end, f"never true: {script}; the page says {self.complaints()}"
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def press(self, *keys: str) -> None:
        """Press keys one after the other, as a keyboard does."""
        for key in keys:
            typed = {"key": key, "code": "Space" if key == " " else key}
            if len(key) == 1 or key == "Enter":
                typed["text"] = "\r" if key == "Enter" else key
            code = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowRight": 39, "Escape": 27}.get(key, 0)
            self.call("Input.dispatchKeyEvent", type="keyDown", windowsVirtualKeyCode=code, **typed)
            self.call("Input.dispatchKeyEvent", type="keyUp", windowsVirtualKeyCode=code, key=key)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Move, press, release or turn the wheel of the mouse."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def complaints(self) -> list[str]:
        """What went wrong in the tab and was not caught, and what it logged as errors."""
        mine = [event for event in self._browser.events if event.get("sessionId") == self._session]
        found = [e["params"]["exceptionDetails"] for e in mine if e["method"] == "Runtime.exceptionThrown"]
        found += [e["params"]["entry"] for e in mine if e["method"] == "Log.entryAdded"]
        return [json.dumps(each) for each in found if each.get("level", "error") == "error"]

    def bring_to_front(self) -> None:
        """Let this tab be the one that is drawn."""
        self._browser.call("Target.activateTarget", targetId=self._target)

    def screenshot(self) -> np.ndarray:
        """The tab as it looks: [h, w, 3], sRGB."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
