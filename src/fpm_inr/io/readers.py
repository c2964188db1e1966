"""Readers of acquisitions: who recognises a file reads it.

A reader is one module. Those of the package are asked in the order of `READERS`; other packages
join by an entry point of the group ``fpm_inr.readers`` that names theirs, and are asked where none
of these knows a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fpm_inr.acquisition import Acquisition, Optics
from fpm_inr.errors import DataError, FpmInrError, SettingsError
from fpm_inr.io.window import Crop
from fpm_inr.registry import Registry


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


# a description is the user's own word, so it comes first; the others tell themselves apart
READERS: Registry[Reader] = Registry(
    "fpm_inr.readers",
    "reader",
    {
        "described": "fpm_inr.io.described",
        "fpm-rs": "fpm_inr.io.fpm_rs",
        "fpm-py": "fpm_inr.io.fpm_py",
        "fpm-inr": "fpm_inr.io.native",
        "ptylab": "fpm_inr.io.ptylab",
        "paper": "fpm_inr.io.paper_matlab",
    },
)


def find(path: Path) -> tuple[Reader, Path] | None:
    """The reader that recognises a file or folder, and the file that it wants.

    Raises
    ------
    DataError
        What was recognised is damaged, or a reader of another package fails.
    SettingsError
        A reader of another package cannot be loaded.
    """
    for reader in _readers():
        if (file := reader.recognise(path)) is not None:
            return reader, file
    return None


def _readers() -> Iterator[Reader]:
    for name in READERS.names:
        reader = READERS.get(name)
        yield reader if name in READERS.own else _Guest(name, reader)


@dataclass(frozen=True)
class _Guest:
    """A reader of another package: whatever it does wrong is one sentence that names it."""

    name: str
    reader: Reader

    def recognise(self, path: Path) -> Path | None:
        with self._named(f"fails to look at {path}"):
            found = self.reader.recognise(path)
            return None if found is None else Path(found)

    def read(self, path: Path, asked: Asked) -> Acquisition:
        with self._named(f"fails to read {path}"):
            made = self.reader.read(path, asked)
            if not isinstance(made, Acquisition):
                raise TypeError(f"it makes {type(made).__name__}, no Acquisition")
            return made

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        try:
            yield
        except FpmInrError:
            raise
        # another's code may fail in any way
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            raise DataError(
                f"{self.name!r} of {READERS.home(self.name)} {what} ({reason})",
                "mend or remove that package",
                field=READERS.field,
            ) from error
