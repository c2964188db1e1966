"""A reader for ``.scope``, a made-up format: a line of magic, a line of JSON, 16-bit frames.

`recognise` and `read` are all that fpm-inr asks of a reader.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.errors import DataError, at
from fpm_inr.io.readers import Asked
from fpm_inr.io.window import read_window

MAGIC = b"SCOPE 1\n"


def recognise(path: Path) -> Path | None:
    """The file itself, where it begins with the magic line."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return path if file.read(len(MAGIC)) == MAGIC else None


def read(path: Path, asked: Asked) -> Acquisition:
    """Read a file; of its frames only what the crop asks for."""
    with at(path):
        with path.open("rb") as file:
            file.seek(len(MAGIC))
            line, start = file.readline(), file.tell()
        try:
            head = json.loads(line)
            # lengths are nm; the rig counts y of its LEDs upward, frames count downward
            optics = asked.optics(head["wavelength_nm"] / 1e3, head["na"], head["pixel_nm"] / 1e3)
            na_led_xy = np.array(head["led_na"], dtype=np.float64) * (1, -1)
            frames = np.memmap(path, "<u2", "r", start, tuple(head["shape"]))
        except DataError:
            raise
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise DataError(f"is damaged ({error})", "copy it from the rig again") from error
        return read_window(frames, asked.crop, optics, Illumination(na_led_xy))
