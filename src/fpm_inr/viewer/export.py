"""One file to hand on: the page with the fields in it."""

from __future__ import annotations

import gzip
from pathlib import Path

from fpm_inr.files.replacing import replacing
from fpm_inr.viewer.page import page_html, source_entry
from fpm_inr.viewer.shrink import in_bytes
from fpm_inr.viewer.sources import Source, title_of


def export_page(sources: list[Source], path: str | Path, *, exact: bool = False) -> int:
    """Write a page that opens from disk and works offline; return its size in bytes.

    Parameters
    ----------
    sources : list of Source
        The main field first.
    path : str or Path
    exact : bool
        Keep values as they are stored; otherwise one byte each, in a file half as large.

    Raises
    ------
    DataError
        A field cannot be read.
    OutputError
        The file cannot be written.
    """
    named, payloads = [], {}
    for number, source in enumerate(sources):
        element = f"field-{number}"
        if exact:
            # half floats pack by a tenth at most, and a large field takes a second to unpack
            payloads[element], packing = source.read(), "none"
        else:
            content = in_bytes(source).read()
            payloads[element], packing = gzip.compress(content, compresslevel=6, mtime=0), "gzip"
        named.append({**source_entry(source), "element": element, "packing": packing})
    page = page_html(title_of(sources), named, payloads)
    with replacing(path) as beside:
        beside.write_text(page, encoding="utf-8")
    return Path(path).stat().st_size
