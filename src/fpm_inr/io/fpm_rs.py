"""Bundles of fpm-rs: ``dataset.json``, ``measurements.json``, ``configuration.json``, in metres."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.errors import DataError, at
from fpm_inr.io.correction import Correction, flat_field
from fpm_inr.io.image_files import ImageFiles
from fpm_inr.io.json_files import entry_of, inside, read_json, taken
from fpm_inr.io.readers import NOTHING, Asked
from fpm_inr.io.window import read_window

ENTRY = "dataset.json"
MEASUREMENTS = "measurement_manifest"


def recognise(path: Path) -> Path | None:
    """The ``dataset.json`` of a bundle."""
    return entry_of(path, ENTRY, MEASUREMENTS)


def read(path: Path, asked: Asked = NOTHING) -> Acquisition:
    """Read a bundle of fpm-rs (its local dataset format, versions 1 and 2).

    Its transverse wave vectors k (rad/m) are centres of spectrum patches, of our sign: the NA is
    k wavelength / (2 pi). Corrections are applied as its ``preprocessing`` says; frames of weight 0
    are left out.

    Parameters
    ----------
    path : Path
        The ``dataset.json``.
    asked : Asked, optional

    Raises
    ------
    DataError
        A file is missing, damaged or says what cannot be used, as several LEDs a frame.
    """
    with at(path):
        return _read(path, asked)


def _read(path: Path, asked: Asked) -> Acquisition:
    content = read_json(path)
    folder = path.parent
    measured_path = inside(folder, taken(path, lambda: content[MEASUREMENTS]), path)
    setup_path = inside(folder, taken(path, lambda: content["configuration"]), path)
    measured, setup = read_json(measured_path), read_json(setup_path)
    optics, wavelength = taken(setup_path, lambda: _optics(setup, asked))
    vectors = taken(setup_path, lambda: _vectors(setup, setup_path))
    frames = taken(measured_path, lambda: list(measured["frames"]))
    if len(frames) != len(vectors):
        raise DataError(
            f"has {len(frames)} frames for {len(vectors)} wave vectors",
            "give one a frame",
            source=measured_path,
        )
    weights = taken(measured_path, lambda: [float(one.get("weight", 1.0)) for one in frames])
    used = [place for place, weight in enumerate(weights) if weight > 0]
    if not used:
        raise DataError("gives every frame the weight 0", "keep one", source=measured_path)
    files = taken(
        measured_path,
        lambda: [inside(measured_path.parent, frames[one]["path"], measured_path) for one in used],
    )
    correction, mask = taken(
        measured_path, lambda: _correction(measured, [frames[one] for one in used], measured_path)
    )
    na = vectors[used] * wavelength * 1e-6 / math.tau
    acquisition = read_window(
        ImageFiles(files),
        asked.crop,
        optics,
        Illumination(na),
        correction=correction,
        mask_y_x=mask,
    )
    if len(used) < len(frames):
        told = f"{len(frames) - len(used)} frames of weight 0 are left out."
        acquisition = replace(acquisition, notes=(told, *acquisition.notes))
    return acquisition


def _optics(setup: dict[str, Any], asked: Asked) -> tuple[Optics, float]:
    """The imaging side, and the stored wavelength in um."""
    stored = setup["reconstruction_experiment"]["optics"]
    wavelength = float(stored["wavelength_vacuum_m"]) * 1e6
    optics = asked.optics(
        wavelength,
        float(stored["objective_na"]),
        float(stored["camera_pixel_size"]) * 1e6 / float(stored["magnification"]),
        float(stored.get("objective_medium_refractive_index", 1.0)),
    )
    return optics, wavelength


def _vectors(setup: dict[str, Any], path: Path) -> NDArray[np.float64]:
    """Transverse wave vectors (x, y) of the frames, rad/m."""
    model = setup["compiled_models"]["reconstruction_model"]
    if model.get("multiplexing_matrix") is not None:
        raise DataError("has several LEDs a frame", "give frames of one LED each", source=path)
    pairs = [(float(one["kx"]), float(one["ky"])) for one in model["k_vectors"]]
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def _correction(
    measured: dict[str, Any], frames: list[dict[str, Any]], path: Path
) -> tuple[Correction, NDArray[np.bool_] | None]:
    wanted = measured.get("preprocessing") or {}

    def image(key: str) -> NDArray[Any]:
        name = measured[key]
        if not isinstance(name, str):
            raise DataError(f"gives {key} frame by frame", "give one for all frames", source=path)
        return np.asarray(ImageFiles([inside(path.parent, name, path)])[:, :, :][0])

    dark: Any = 0.0
    for flag, key in (("subtract_dark", "dark_frame"), ("subtract_background", "background")):
        if wanted.get(flag):
            dark = dark + image(key).astype(np.float32)
    correction = Correction(dark=dark)
    if wanted.get("divide_flat_field"):
        correction = replace(correction, flat_y_x=flat_field(image("flat_field"), Correction()))
    if wanted.get("normalize_exposure"):
        times = np.array([float(one.get("exposure_time", 1.0)) for one in frames], dtype=np.float32)
        if not (np.isfinite(times).all() and (times > 0).all()):
            raise DataError("has an exposure_time that is not above 0", "mend it", source=path)
        correction = replace(correction, exposure_led=times / times.max())
    mask = image("mask") == 0 if measured.get("mask") is not None else None
    return correction, mask
