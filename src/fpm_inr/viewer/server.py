"""A server of one page and the fields it shows, for this machine's own browser only."""

from __future__ import annotations

import io
import secrets
import shutil
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fpm_inr.viewer.page import page_html, source_entry
from fpm_inr.viewer.sources import Source, title_of

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class NotFoundError(Exception):
    """Nothing lies at an address; the text, if any, says why."""


class PageServer(ThreadingHTTPServer):
    """Serves on a free port of the loopback address, under an address that cannot be guessed.

    Reachable is what `routes` holds, nothing else. A request must name this server as its host, so
    that no other name can be pointed here (DNS rebinding), and must not come from a page of another
    origin.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}
        self.root = f"/{secrets.token_urlsafe(16)}/"
        self.routes: dict[str, Source] = {}

    def find(self, path: str, connection: socket.socket) -> Source:
        """What lies at an address; `connection` is who asks.

        Raises
        ------
        NotFoundError
            Nothing does.
        """
        if path not in self.routes:
            raise NotFoundError
        return self.routes[path]

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://127.0.0.1:{self.server_port}{self.root}"


class ViewServer(PageServer):
    """Serves one page and the sources it shows.

    Parameters
    ----------
    sources : list of Source
        The main field first.
    """

    def __init__(self, sources: list[Source]) -> None:
        super().__init__()
        named = [
            {**source_entry(source), "address": f"field-{number}"}
            for number, source in enumerate(sources)
        ]
        page = page_html(title_of(sources), named).encode()
        self.routes = {self.root: Source("page", page)} | {
            self.root + str(entry["address"]): source
            for entry, source in zip(named, sources, strict=True)
        }


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version = "fpm-inr"
    sys_version = ""

    def do_GET(self) -> None:
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if host not in self.server.hosts or origin not in (None, f"http://{host}"):
            self._refuse(403)
            return
        try:
            source = self.server.find(self.path, self.connection)
            self._send(source, "text/html; charset=utf-8" if source.name == "page" else None)
        except NotFoundError as error:
            self._refuse(404, str(error))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the browser went away

    def _send(self, source: Source, kind: str | None) -> None:
        content = source.content
        try:
            body = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
        except OSError:
            self._refuse(404)
            return
        with body:
            length = body.seek(0, io.SEEK_END)
            body.seek(0)
            self.send_response(200)
            self.send_header("Content-Type", kind or "application/octet-stream")
            self.send_header("Content-Length", str(length))
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            self.end_headers()
            shutil.copyfileobj(body, self.wfile, 1 << 20)

    def _refuse(self, status: int, reason: str = "") -> None:
        body = reason.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal belongs to the command."""
