"""The server answers its own page and no one else."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

from fpm_inr.viewer.server import ViewServer
from fpm_inr.viewer.sources import Source


def answer(server: ViewServer, path: str, method: str = "GET", **headers: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@pytest.fixture
def server(view: Any, tmp_path: Any) -> ViewServer:
    (tmp_path / "field.safetensors").write_bytes(b"the field")
    served: ViewServer = view(Source("one", tmp_path / "field.safetensors"), Source("two", b"2"))
    return served


def test_named_files_are_served(server: ViewServer) -> None:
    response, body = answer(server, server.root)
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/html")
    assert b"<title>one</title>" in body
    assert answer(server, server.root + "field-0")[1] == b"the field"
    assert answer(server, server.root + "field-1")[1] == b"2"
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/field-0",
        "{root}field-2",
        "{root}../field-0",
        "{root}field.safetensors",
        "/etc/passwd",
    ],
)
def test_nothing_else_is(server: ViewServer, path: str) -> None:
    response, body = answer(server, path.format(root=server.root))
    assert response.status == 404
    assert body == b""


def test_other_hosts_and_origins_are_refused(server: ViewServer) -> None:
    port = server.server_port
    own = f"127.0.0.1:{port}"
    for headers in (
        {"Host": f"evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": own, "Origin": "https://evil.example"},
        {"Host": own, "Origin": "null"},
        {"Host": own, "Origin": f"http://127.0.0.1:{port + 1}"},
    ):
        response, body = answer(server, server.root + "field-0", **headers)
        assert response.status == 403, headers
        assert body == b""
    assert answer(server, server.root, Host=own, Origin=f"http://{own}")[0].status == 200
    assert answer(server, server.root, Host=f"localhost:{port}")[0].status == 200


def test_only_reading(server: ViewServer) -> None:
    assert answer(server, server.root, "POST")[0].status == 501
    assert answer(server, server.root, "DELETE")[0].status == 501
