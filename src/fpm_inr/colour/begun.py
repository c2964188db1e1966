"""``begun.json``: what several wavelengths are solved with, so that a run goes on with the same.

Beside settings and data it keeps what was found before the first solve, and which wavelengths are
done. White and sideways offsets are no part of it: they are found, or given, when all are solved.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fpm_inr.errors import SettingsError
from fpm_inr.files.replacing import replacing
from fpm_inr.set_manifest import MANIFEST

BEGUN = "begun.json"
FORMAT: Literal["fpm-inr colours begun"] = "fpm-inr colours begun"


class Begun(BaseModel):
    """What a run was begun with, and how far it is.

    Parameters
    ----------
    settings : dict
        Those that decide the solves: plain JSON values.
    data : dict of str to str
        A digest of each wavelength's data.
    z_range_um : (float, float)
        As the reference sees it.
    height_um : dict of str to float, optional
        Height of the specimen at each wavelength, where it was found.
    state : dict of str to {"begun", "done"}
        Of wavelengths that are not untouched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["fpm-inr colours begun"] = FORMAT
    settings: dict[str, Any]
    data: dict[str, str]
    z_range_um: tuple[float, float]
    height_um: dict[str, float] | None = None
    state: dict[str, Literal["begun", "done"]] = Field(default_factory=dict)

    def with_(self, **changes: Any) -> Begun:
        """The same with other values."""
        return self.model_copy(update=changes)

    def write(self, folder: Path) -> None:
        """Put it into the folder of the results.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        with replacing(folder / BEGUN) as beside:
            beside.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def begin(self, folder: Path) -> None:
        """Put it there at a run's beginning: the solutions that a manifest names will be others.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        self.write(folder)
        (folder / MANIFEST).unlink(missing_ok=True)


def read_begun(folder: Path, settings: dict[str, Any], data: dict[str, str]) -> Begun | None:
    """What the run in a folder was begun with, if these are the same; None where there is none.

    Raises
    ------
    SettingsError
        It was begun with other settings or data, or does not say with which.
    """
    path = folder / BEGUN
    if not path.is_file():
        if not (folder / MANIFEST).is_file():
            return None
        raise SettingsError(
            f"holds no {BEGUN}, which says what its wavelengths were solved with",
            "begin anew with --overwrite",
            source=folder,
        )
    try:
        begun = Begun.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError, RecursionError) as error:
        raise SettingsError(
            "cannot be read, so that nothing says what was begun with",
            "begin anew with --overwrite",
            source=path,
        ) from error
    asked = json.loads(json.dumps(settings))
    keys = sorted({*begun.settings, *asked})
    differ = [key for key in keys if begun.settings.get(key) != asked.get(key)]
    differ += [f"the data of {n}" for n in sorted({*begun.data, *data})
               if begun.data.get(n) != data.get(n)]  # fmt: skip
    if differ:
        raise SettingsError(
            f"was begun with other settings or data ({', '.join(differ[:4])})",
            "resume with what it was begun with, or begin anew with --overwrite",
            source=folder,
        )
    return begun
