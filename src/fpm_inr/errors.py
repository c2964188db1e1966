"""The errors a user can meet: each is one sentence that names the place and the mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def _one_line(sentence: str) -> str:
    """Line ends and other control characters of file and key names as escapes."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in sentence)


class FpmInrError(Exception):
    """Base of every error that is the input's, not the program's. The command line exits with 2."""


class InputError(FpmInrError, ValueError):
    """Something that was given cannot be used.

    Parameters
    ----------
    problem : str
        What is wrong, with the offending value.
    mend : str
        What to do about it, as an imperative.
    field : str, optional
        The variable, key or option concerned.
    source : str, optional
        The file or folder concerned.
    """

    def __init__(self, problem: str, mend: str, *, field: str = "", source: object = "") -> None:
        self.problem, self.mend, self.field, self.source = problem, mend, field, str(source)
        place = ": ".join(part for part in (self.source, self.field) if part)
        super().__init__(_one_line(f"{place + ': ' if place else ''}{problem}; {mend}."))

    def at(self, source: object, field: str | None = None) -> InputError:
        """Return the same error, located in a file (and under that file's name for the field)."""
        return type(self)(
            self.problem, self.mend, field=self.field if field is None else field, source=source
        )


class DataError(InputError):
    """A file or an array is missing something, damaged, or inconsistent."""


class SettingsError(InputError):
    """An option, key or combination of settings cannot be used."""


class DivergedError(InputError, FloatingPointError):
    """A solve did not stay finite: its settings, or what was given to it, cannot be used."""

    def __init__(
        self,
        problem: str,
        mend: str = "lower the recipe's step or learning rates, and look at `fpm-inr inspect`",
        *,
        field: str = "",
        source: object = "",
    ) -> None:
        super().__init__(problem, mend, field=field, source=source)


class OutputError(InputError):
    """A result cannot be written where it was asked for."""


@contextmanager
def at(source: object) -> Iterator[None]:
    """Locate in `source`, a file or folder, every `InputError` of the body that names no place."""
    try:
        yield
    except InputError as error:
        if error.source:
            raise
        raise error.at(source) from error
