"""Readers of acquisitions: who recognises a file reads it.

A reader is one module. Those of the package are named in `OWN`, in the order in which they are
asked; other packages join by an entry point of the group ``fpm_inr.readers`` that names theirs, and
are asked where none of these knows a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol, cast

from fpm_inr.acquisition import Acquisition, Optics
from fpm_inr.errors import DataError, FpmInrError, SettingsError
from fpm_inr.io.window import Crop

# a description is the user's own word, so it comes first; the others tell themselves apart
OWN = ("described", "fpm_rs", "fpm_py", "native", "ptylab", "paper_matlab")
GROUP = "fpm_inr.readers"


@dataclass(frozen=True)
class Asked:
    """What the user says beside the file.

    Parameters
    ----------
    crop : (y, x, height, width), optional
        Window to read, in pixels.
    wavelength_um, medium_index : float, optional
        Replace what is stored.
    """

    crop: Crop | None = None
    wavelength_um: float | None = None
    medium_index: float | None = None

    def optics(
        self, wavelength_um: float | None, na: float, pixel_um: float, medium_index: float = 1.0
    ) -> Optics:
        """The imaging side as it is stored, but for what is asked for.

        Parameters
        ----------
        wavelength_um : float or None
            None where the format does not store it.
        na, pixel_um, medium_index : float

        Raises
        ------
        SettingsError
            No wavelength is stored or given.
        DataError
            A number cannot be used.
        """
        if self.wavelength_um is not None:
            wavelength_um = self.wavelength_um
        if wavelength_um is None:
            raise SettingsError(
                "is not stored in this layout",
                "give it in um (--wavelength) or as a color r, g or b (--color)",
                field="wavelength",
            )
        if self.medium_index is not None:
            medium_index = self.medium_index
        return Optics(wavelength_um, na, pixel_um, medium_index)


NOTHING = Asked()


class Reader(Protocol):
    """What a module must have to be a reader."""

    def recognise(self, path: Path, /) -> Path | None:
        """The file to read, where `path` (a file or folder that exists) is of this format.

        Judged by content. None where it is not; a DataError where it is, but is damaged.
        """

    def read(self, path: Path, asked: Asked, /) -> Acquisition:
        """Read what `recognise` gave, in our axes and signs; every bad input is a DataError."""


def find(path: Path) -> tuple[Reader, Path] | None:
    """The reader that recognises a file or folder, and the file that it wants.

    Raises
    ------
    DataError
        What was recognised is damaged, or a reader of another package fails.
    """
    for reader in _readers():
        if (file := reader.recognise(path)) is not None:
            return reader, file
    return None


def _readers() -> Iterator[Reader]:
    for name in OWN:
        yield cast(Reader, import_module(f"fpm_inr.io.{name}"))
    for entry in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        yield _Guest(entry)


class _Guest:
    """A reader of another package: whatever it does wrong is one sentence that names it."""

    def __init__(self, entry: EntryPoint) -> None:
        self._entry = entry
        try:
            self._reader = entry.load()
        # a module that is imported may raise anything
        except Exception as error:
            raise self._broken("cannot be loaded", error) from error
        if not all(callable(getattr(self._reader, one, None)) for one in ("recognise", "read")):
            raise self._broken("has no functions recognise and read")

    def recognise(self, path: Path) -> Path | None:
        try:
            found = self._reader.recognise(path)
        except FpmInrError:
            raise
        except Exception as error:
            raise self._broken(f"fails to look at {path}", error) from error
        return None if found is None else Path(found)

    def read(self, path: Path, asked: Asked) -> Acquisition:
        try:
            made = self._reader.read(path, asked)
        except FpmInrError:
            raise
        except Exception as error:
            raise self._broken(f"fails to read {path}", error) from error
        if not isinstance(made, Acquisition):
            raise self._broken(f"makes no Acquisition of {path}")
        return made

    def _broken(self, what: str, error: Exception | None = None) -> DataError:
        package = self._entry.dist.name if self._entry.dist is not None else "an unknown package"
        reason = f" ({type(error).__name__}: {' '.join(str(error).split())[:160]})" if error else ""
        return DataError(
            f"the reader {self._entry.name!r} ({self._entry.value}) of {package} {what}{reason}",
            "update or uninstall that package",
            field=GROUP,
        )
