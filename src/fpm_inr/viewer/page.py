"""The viewer's page: one HTML file made of the modules, shaders and styles in ``page/``.

A page loads nothing but itself and the fields it was given. Its content security policy names the
script and the style by their hashes, so nothing that a field file holds can run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from fpm_inr import __version__
from fpm_inr.display import phase_table

if TYPE_CHECKING:
    from fpm_inr.viewer.sources import Source

DEPTH_COLOURS = "viridis"
_FILES = files("fpm_inr.viewer") / "page"
_IMPORT = re.compile(r'^import (.+?) from "\./(\w+\.js)";\n', re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def source_entry(source: Source) -> dict[str, Any]:
    """What the page is told of a source, besides where it is."""
    entry: dict[str, Any] = {"name": source.name}
    if source.channel is not None:
        entry["channel"] = asdict(source.channel)
    return entry


def page_html(
    title: str,
    sources: list[dict[str, Any]],
    payloads: Mapping[str, bytes] = {},
    field_map: dict[str, Any] | None = None,
) -> str:
    """Make the page.

    Parameters
    ----------
    title : str
    sources : list of dict
        What is shown, the main field first: `name`, and either `address` (relative to the page) or
        `element` (a key of `payloads`) with its `packing`, "gzip" or "none"; wavelengths of one
        specimen have a `channel` each.
    payloads : dict
        Field files that travel in the page.
    field_map : dict, optional
        A field that is shown as a map instead, with its tiles beside the page.

    Returns
    -------
    str
    """
    style = _read("style.css")
    script = bundle("main.js")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src blob: data:",
            "connect-src 'self'" if not payloads else "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    config: dict[str, Any] = {
        "version": __version__,
        "sources": sources,
        "map": field_map,
        "shaders": {
            file.name: file.read_text(encoding="utf-8") for file in (_FILES / "shaders").iterdir()
        },
        "cyclic": base64.b64encode(phase_table().tobytes()).decode(),
        "depth": base64.b64encode(_depth_table()).decode(),
    }
    parts = {
        "policy": html.escape(policy),
        "title": html.escape(title),
        "style": style,
        "script": script,
        "data": "\n".join(_data_elements(config, payloads)),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _read("index.html"))


def bundle(entry: str) -> str:
    """Join a module and what it imports into one script, each module in a scope of its own.

    Understands what the modules in ``page/`` use: ``import {a, b} from "./name.js"``, ``import * as
    name from ...`` and ``export`` in front of functions, classes and constants.
    """
    ordered: dict[str, str] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"modules import each other: {' > '.join((*above, name))}")
        if name in ordered:
            return
        source = _read(name)
        for match in _IMPORT.finditer(source):
            visit(match[2], (*above, name))
        ordered[name] = _in_scope(name, source)

    visit(entry, ())
    return "\nconst modules = {};\n" + "\n".join(ordered.values())


def _in_scope(name: str, source: str) -> str:
    names = ", ".join(match[2] for match in _EXPORT.finditer(source))
    body = _EXPORT.sub(r"\1", _IMPORT.sub(_as_constants, source))
    return f'modules["{name}"] = (() => {{\n{body}return {{ {names} }};\n}})();\n'


def _as_constants(match: re.Match[str]) -> str:
    what = match[1].removeprefix("* as ")
    return f'const {what} = modules["{match[2]}"];\n'


def _data_elements(config: dict[str, Any], payloads: Mapping[str, bytes]) -> Iterator[str]:
    # "<" cannot end the element from within JSON when it is written as an escape
    text = json.dumps(config, ensure_ascii=True).replace("<", "\\u003c")
    yield f'<script type="application/json" id="config">{text}</script>'
    for name, payload in payloads.items():
        packed = base64.b64encode(payload).decode()
        yield f'<script type="application/octet-stream" id="{html.escape(name)}">{packed}</script>'


def _depth_table() -> bytes:
    from matplotlib import colormaps

    rgba: Iterable[Any] = colormaps[DEPTH_COLOURS](np.arange(256))
    return np.rint(np.asarray(rgba)[:, :3] * 255).astype(np.uint8).tobytes()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")
