"""JSON of others: every way in which it can be damaged becomes one DataError."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from fpm_inr.errors import DataError

MOST_BYTES = 256 * 2**20
Made = TypeVar("Made")


def read_json(path: Path) -> dict[str, Any]:
    """Read an object.

    Raises
    ------
    DataError
        The file cannot be read, is too large, or holds no JSON object.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError("is too large to be read", "restore the file", source=path)
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"cannot be read ({error.strerror})", "restore the file", source=path
        ) from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"is no JSON ({reason})", "restore the file", source=path) from error
    if not isinstance(content, dict):
        raise DataError("holds no JSON object", "restore the file", source=path)
    return content


def entry_of(path: Path, name: str, key: str) -> Path | None:
    """The JSON file of this name that has this key, in a folder or beside one of its JSON files."""
    if not path.is_dir() and path.suffix.lower() != ".json":
        return None
    entry = (path if path.is_dir() else path.parent) / name
    return entry if entry.is_file() and key in read_json(entry) else None


def taken(path: Path, take: Callable[[], Made]) -> Made:
    """What `take` makes of the content; a key or a kind that is missing names the file.

    Raises
    ------
    DataError
        As `take`, or it met something that is not there.
    """
    try:
        return take()
    except KeyError as error:
        raise DataError(f"has no {error.args[0]!r}", "add this key", source=path) from error
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"holds something unexpected ({reason})", "mend it", source=path) from error


def inside(folder: Path, name: Any, told_by: Path) -> Path:
    """A file that is named relative to a folder, and lies in it.

    Raises
    ------
    DataError
        The name leads elsewhere.
    """
    text = str(name).replace("\\", "/")
    steps = PurePosixPath(text).parts
    if not isinstance(name, str) or not steps or text.startswith("/") or ".." in steps:
        raise DataError(
            f"names {name!r}, no file under its folder", "give a relative name", source=told_by
        )
    return folder.joinpath(*steps)
