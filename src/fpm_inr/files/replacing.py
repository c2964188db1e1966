"""Write beside, then rename: no reader ever sees half a result."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from fpm_inr.errors import OutputError


@contextmanager
def replacing(target: str | Path) -> Iterator[Path]:
    """Give a temporary sibling of `target` to write (a file or a folder), then rename it.

    The sibling keeps the suffix of `target`, so that writers which look at it still work. When the
    body raises, the sibling is removed and `target` is left as it was.

    Raises
    ------
    OutputError
        The folder does not exist or cannot be written, or the disk is full.
    """
    target = Path(target)
    if not target.parent.is_dir():
        raise OutputError("its folder does not exist", "create the folder first", source=target)
    beside = target.with_name(f".{target.stem}.partial{target.suffix}")
    try:
        _remove(beside)
        yield beside
        if target.is_dir():
            _remove(target)
        beside.replace(target)
    except OSError as error:
        _remove(beside)
        raise OutputError(
            # NumPy tells a full disk by numbers alone
            f"cannot be written ({error.strerror or f'the disk seems full: {error}'})",
            "choose a place that is writable and has room",
            source=target,
        ) from error
    except BaseException:
        _remove(beside)
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing.

    Raises
    ------
    OutputError
        It cannot be made, or nothing can be written in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot be made a folder ({error.strerror})",
            "choose a place that is writable and has room",
            source=folder,
        ) from error
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot be written in ({error.strerror})",
            "choose a folder that is writable and has room",
            source=folder,
        ) from error
