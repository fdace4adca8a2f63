"""A Chromium without a window, driven by ChromeDriver over the WebDriver protocol."""

import base64
import re
import shutil
import subprocess
from contextlib import contextmanager

import requests

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver's key of element references
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@contextmanager
def open_browser(profile):
    """Yield a `Browser` with an empty profile in the directory given."""
    process = subprocess.Popen(
        [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    session = requests.Session()
    session.trust_env = False
    try:
        port = None
        for line in process.stdout:
            if match := re.search(r"started successfully on port (\d+)", line):
                port = int(match[1])
                break
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        browser = Browser(session, f"http://127.0.0.1:{port}/session")
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        opened = browser.command("", {"capabilities": {"alwaysMatch": wanted}})
        browser.url += "/" + opened["sessionId"]
        try:
            yield browser
        finally:
            session.delete(browser.url, timeout=30)
    finally:
        session.close()
        process.terminate()
        process.wait(10)
        process.stdout.close()


class Browser:
    """The few commands that the tests need."""

    def __init__(self, session, url):
        self.session, self.url = session, url

    def command(self, path, body):
        answer = self.session.post(self.url + path, json=body, timeout=60).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def open(self, address):
        self.command("/url", {"url": address})

    def run(self, script, *arguments):
        return self.command("/execute/sync", {"script": script, "args": list(arguments)})

    def developer(self, name, **parameters):
        return self.command("/goog/cdp/execute", {"cmd": name, "params": parameters})

    def find(self, selector):
        return self.command("/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.command(f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self.command(f"/element/{self.find(selector)}/value", {"text": str(text)})

    def choose(self, selector, value):
        self.click(f"{selector} option[value='{value}']")

    def drop(self, selector, path):
        """Drop a file as if it were dragged from the desktop."""
        place = self.run(
            "const r = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]",
            selector,
        )
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.developer("Input.dispatchDragEvent", type=kind, x=place[0], y=place[1], data=data)

    def resize(self, width, height, *, dark=False, touch=False):
        self.developer(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2,
            mobile=touch,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.developer("Emulation.setEmulatedMedia", features=[scheme])

    def log(self):
        return self.command("/se/log", {"type": "browser"})

    def screenshot(self, path):
        shot = self.developer("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
