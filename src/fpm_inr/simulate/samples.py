"""Specimens: what is drawn (a picture, a target, a blood smear) and how it lies in depth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import SettingsError
from fpm_inr.simulate.pictures import PICTURES, lay, picture, stretched
from fpm_inr.simulate.slow import lens_phase, slow_phase
from fpm_inr.simulate.smear import draw_smear
from fpm_inr.simulate.targets import draw_siemens, draw_usaf

FloatArray = NDArray[np.float64]

SHAPES = ("thin", "tilted", "wavy", "two-layer", "thick")
SUBJECTS = (
    "smear",
    "immunohistochemistry",
    "cell",
    "retina",
    "camera",
    "section-red",
    "section-green",
    "section-blue",
    "slow-phase",
    "lens",
    "usaf",
    "siemens",
)
THICK_SHEETS = 8
# Nothing is quite black: a logarithm must exist.
DARKEST = 1e-3


@dataclass(frozen=True)
class Specimen:
    """What lies under the objective.

    Parameters
    ----------
    subject : str
        One of `SUBJECTS`: a drawn blood smear, a picture of scikit-image's, one of these with a
        phase that varies slowly across the field, or a resolution target.
    shape : str
        One of `SHAPES`.
    z_um : float
        Height of the specimen's middle.
    tilt_deg : float
        Tilt of a tilted specimen.
    tilt_axis_deg : float
        Direction of the axis it is tilted about: 0 is along the rows' x, so that z rises with y.
    depth_um : float
        Peak to peak of a wavy one, distance of two layers, thickness of a thick one.
    wave_um : float
        Period of a wavy one (along x and y).
    opacity : float
        Amplitude lost where the subject is densest, 0 (a pure phase object) to 1 (black).
    phase_rad : float
        Phase where the subject retards most.
    shift_y_x_um : (float, float)
        Where its middle lies, as a lens shows it that moves this wavelength sideways.
    detail_um : float, optional
        Size of a pixel of the subject's picture. Default: what the microscope just resolves.

    Raises
    ------
    SettingsError
        A name is unknown or a number out of range.
    """

    subject: str = "smear"
    shape: str = "thin"
    z_um: float = 0.0
    tilt_deg: float = 0.0
    tilt_axis_deg: float = 0.0
    depth_um: float = 0.0
    wave_um: float = 40.0
    opacity: float = 0.6
    phase_rad: float = 1.0
    shift_y_x_um: tuple[float, float] = (0.0, 0.0)
    detail_um: float | None = None

    def __post_init__(self) -> None:
        for field, names in (("subject", SUBJECTS), ("shape", SHAPES)):
            value = getattr(self, field)
            if value not in names:
                raise SettingsError(
                    f"is {value!r}, which is unknown",
                    f"give one of {', '.join(names)}",
                    field=field,
                )
        for field, low, high in (
            ("z_um", -1000.0, 1000.0),
            ("tilt_deg", -60.0, 60.0),
            ("tilt_axis_deg", -360.0, 360.0),
            ("depth_um", 0.0, 1000.0),
            ("wave_um", 5.0, 1e5),
            ("opacity", 0.0, 1.0),
            ("phase_rad", -10.0, 10.0),
            ("shift_y_x_um", -1000.0, 1000.0),
            ("detail_um", 1e-3, 1e3),
        ):
            value = getattr(self, field)
            if field == "shift_y_x_um":
                value = max(value, key=abs)
            if value is None:
                continue
            if not (math.isfinite(value) and low <= value <= high):
                raise SettingsError(
                    f"is {value:g}", f"give a number from {low:g} to {high:g}", field=field
                )
        if self.opacity == 0 and self.phase_rad == 0:
            raise SettingsError(
                "is 0, and so is the phase: an empty slide",
                "give an opacity or a phase",
                field="opacity",
            )
        self._check_shape()

    @property
    def sheet_count(self) -> int:
        """Number of thin sheets that make up the specimen."""
        return {"two-layer": 2, "thick": THICK_SHEETS}.get(self.shape, 1)

    def _check_shape(self) -> None:
        if self.shape == "thick" and self.subject in ("usaf", "siemens"):
            raise SettingsError(
                f"is thick, and the {self.subject} target is flat",
                "choose another shape or another subject",
                field="shape",
            )
        deep = self.shape in ("wavy", "two-layer", "thick")
        if deep and self.depth_um == 0:
            raise SettingsError(
                f"is 0 for a {self.shape} specimen", "give a depth in um", field="depth_um"
            )
        if self.depth_um and not deep:
            raise SettingsError(
                f"is {self.depth_um:g}, which a {self.shape} specimen has not",
                "leave it out, or choose the shape wavy, two-layer or thick",
                field="depth_um",
            )
        if self.shape == "tilted" and self.tilt_deg == 0:
            raise SettingsError(
                "is 0 for a tilted specimen", "give a tilt in degrees", field="tilt_deg"
            )
        if self.tilt_deg and self.shape != "tilted":
            raise SettingsError(
                f"is {self.tilt_deg:g} for a {self.shape} specimen",
                "leave it out, or choose the shape tilted",
                field="tilt_deg",
            )


@dataclass(frozen=True, eq=False)
class Sheet:
    """An infinitely thin part of a specimen.

    Parameters
    ----------
    log_transmission_y_x : array [y, x] of complex
        Logarithm of the complex transmission.
    z_y_x_um : array [y, x] or [1, 1]
        Its height everywhere.
    """

    log_transmission_y_x: NDArray[np.complex128]
    z_y_x_um: FloatArray


def height_um(specimen: Specimen, y_um: FloatArray, x_um: FloatArray) -> FloatArray:
    """Height [y, x] of a specimen of one sheet ([1, 1] where it is the same everywhere)."""
    y, x = y_um[:, None], x_um[None, :]
    if specimen.shape == "tilted":
        axis = math.radians(specimen.tilt_axis_deg)
        rise = y * math.cos(axis) - x * math.sin(axis)
        return specimen.z_um + math.tan(math.radians(specimen.tilt_deg)) * rise
    if specimen.shape == "wavy":
        turn = 2 * math.pi / specimen.wave_um
        wave: FloatArray = specimen.depth_um / 2 * np.sin(turn * x) * np.cos(turn * y)
        return specimen.z_um + wave
    return np.full((1, 1), specimen.z_um)


def make_sheets(
    specimen: Specimen,
    y_um: FloatArray,
    x_um: FloatArray,
    *,
    field_um: float,
    detail_um: float,
    seed: int,
) -> list[Sheet]:
    """Draw a specimen on a grid.

    A thick specimen is `THICK_SHEETS` sheets, each showing another part of the subject, with the
    contrast of each divided by the root of their number; two layers are two such sheets.

    Parameters
    ----------
    y_um, x_um : array
        Evenly spaced coordinates, 0 in the middle of the field of view.
    field_um : float
        Shorter side of the field of view, which targets and slow phases fill.
    detail_um : float
        Size that one pixel of a picture is given, unless the specimen says.
    seed : int
        Places the cells of a smear.
    """
    layers = specimen.sheet_count
    y_um, x_um = y_um - specimen.shift_y_x_um[0], x_um - specimen.shift_y_x_um[1]
    detail_um = detail_um if specimen.detail_um is None else specimen.detail_um
    sheets = []
    for layer in range(layers):
        absorption, phase = _draw(
            specimen.subject,
            y_um + 0.29 * layer * field_um,
            x_um + 0.37 * layer * field_um,
            field_um=field_um,
            detail_um=detail_um,
            seed=seed,
        )
        amplitude = np.maximum(1.0 - specimen.opacity * absorption, DARKEST)
        log = (np.log(amplitude) + 1j * specimen.phase_rad * phase) / math.sqrt(layers)
        if layers == 1:
            z_um = height_um(specimen, y_um, x_um)
        else:
            z_um = np.full((1, 1), specimen.z_um + specimen.depth_um * (layer / (layers - 1) - 0.5))
        sheets.append(Sheet(log, z_um))
    return sheets


def _draw(
    subject: str,
    y_um: FloatArray,
    x_um: FloatArray,
    *,
    field_um: float,
    detail_um: float,
    seed: int,
) -> tuple[FloatArray, FloatArray]:
    """Absorption and phase [y, x], each from 0 to 1."""
    if subject == "smear":
        return draw_smear(y_um, x_um, seed)
    if subject in ("usaf", "siemens"):
        draw = draw_usaf if subject == "usaf" else draw_siemens
        drawn = draw(y_um, x_um, field_um)
        return drawn, drawn
    if subject in ("slow-phase", "lens"):
        absorption = lay(PICTURES["immunohistochemistry"]()[0], y_um, x_um, detail_um)
        if subject == "lens":
            return absorption, lens_phase(y_um, x_um, field_um)
        return absorption, slow_phase(stretched(picture("moon")), y_um, x_um, field_um)
    absorption, phase = PICTURES[subject]()
    return lay(absorption, y_um, x_um, detail_um), lay(phase, y_um, x_um, detail_um)
