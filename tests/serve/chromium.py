"""A headless Chromium, driven by chromedriver's HTTP interface (W3C WebDriver)."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager

import requests

from tests import services
from tests.services import eventually

PATIENCE_S = 60
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1400,1200",
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver §12.2


class Browser:
    def __init__(self, driver, options):
        self._session = ""
        self._url = driver + "/session"
        capabilities = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._post("", {"capabilities": {"alwaysMatch": capabilities}})
        self._url += "/" + made["sessionId"]

    def open(self, url):
        self._post("/url", {"url": url})

    def close(self):
        requests.delete(self._url, timeout=PATIENCE_S).raise_for_status()

    def type(self, css, text):
        self._post(f"/element/{self._find(css)}/value", {"text": text})

    def click(self, css):
        self._post(f"/element/{self._find(css)}/click", {})

    def run(self, code, *args):
        """What the JavaScript returns."""
        return self._post("/execute/sync", {"script": code, "args": args})

    def text(self):
        return self.run("return document.body ? document.body.innerText : ''")

    def complaints(self):
        """What the console has said since it was last asked, warnings and errors."""
        said = self._post("/se/log", {"type": "browser"})
        return [entry["message"] for entry in said if entry["level"] in ("WARNING", "SEVERE")]

    def requested(self):
        """The addresses that pages have asked for since it was last asked."""
        events = self._post("/se/log", {"type": "performance"})
        messages = [json.loads(event["message"])["message"] for event in events]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def _find(self, css):
        found = self._post("/element", {"using": "css selector", "value": css})
        return found[ELEMENT]

    def _post(self, path, body):
        answer = requests.post(self._url + path, json=body, timeout=PATIENCE_S)
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]


@contextmanager
def browser(folder):
    """A browser with a profile of its own in the folder."""
    options = {
        "binary": services.program("chromium"),
        "args": [*FLAGS, f"--user-data-dir={folder}"],
    }
    port = services.free_port()
    command = [services.program("chromedriver"), f"--port={port}"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            eventually(lambda: _listens(port), saying="chromedriver")
            started = Browser(f"http://127.0.0.1:{port}", options)
            try:
                yield started
            finally:
                started.close()
        finally:
            process.terminate()


def _listens(port):
    try:
        return requests.get(f"http://127.0.0.1:{port}/status", timeout=PATIENCE_S).ok
    except requests.ConnectionError:
        return False
