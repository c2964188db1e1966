"""A headless Chromium, where there is one."""

from __future__ import annotations

import functools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from fpm_inr.viewer.field_map import map_of
from fpm_inr.viewer.map_server import MapServer
from fpm_inr.viewer.server import ViewServer
from fpm_inr.viewer.sources import Source

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1000,700",
)


class Browser:
    """What the tests ask of a browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        """Open a page and wait until it shows something, or says why not."""
        self.driver.get(address)
        self.complaints()  # of the page before
        self.wait("window.fpmInr?.isSettled || !/^(Loading .*)?$/.test(message.textContent)")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not self.run(f"return {condition}"):
            if time.monotonic() > end:
                raise TimeoutError(f"{condition}; {self.message!r}; {self.complaints()}")
            time.sleep(0.03)

    def settle(self) -> None:
        self.wait("fpmInr.isSettled")

    @property
    def message(self) -> str:
        return str(self.run("return document.getElementById('message').textContent"))

    def complaints(self) -> list[str]:
        """What the console holds since the last call; the renderer's own remarks left out."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if "GPU stall due to ReadPixels" not in entry["message"]
        ]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    chromium, chromedriver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if chromium is None or chromedriver is None:
        pytest.skip("needs chromium and chromedriver (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
    driver.set_script_timeout(60)
    yield Browser(driver)
    driver.quit()


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[ThreadingHTTPServer]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def view() -> Iterator[Callable[..., ViewServer]]:
    """Serve sources until the test ends."""
    from contextlib import ExitStack

    with ExitStack() as open_servers:

        def start(*sources: Source) -> ViewServer:
            server = ViewServer(list(sources))
            open_servers.enter_context(serving(server))
            return server

        yield start


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[MapServer]:
    """The map of a module's `folder`."""
    with serving(MapServer(map_of(folder))) as server:
        assert isinstance(server, MapServer)
        yield server


@pytest.fixture
def page(browser: Browser, served: MapServer) -> Iterator[Browser]:
    """Its page, which says nothing to the console until the test ends."""
    browser.open(served.address)
    browser.settle()
    yield browser
    assert browser.complaints() == []


@pytest.fixture(scope="session")
def modules(browser: Browser) -> Iterator[Callable[..., Any]]:
    """Call a function of a module of the page: ``modules("focus.js", "peakOf", z, scores)``."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    folder = Path(str(files("fpm_inr.viewer") / "page"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    script = """
      const [module, name, values, done] = arguments;
      import(`/${module}`).then((m) => m[name](...values))
        .then((value) => done({ value }), (error) => done({ error: String(error) }));
    """
    with serving(server):

        def call(module: str, name: str, *values: Any) -> Any:
            root = f"http://127.0.0.1:{server.server_port}/"
            if not browser.driver.current_url.startswith(root):
                browser.driver.get(root + "style.css")
            result = browser.driver.execute_async_script(script, module, name, values)
            assert "error" not in result, result
            return result["value"]

        yield call
