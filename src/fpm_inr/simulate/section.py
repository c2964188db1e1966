"""A stained section at three wavelengths, with the chromatic errors of a real lens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fpm_inr.acquisition import Optics
from fpm_inr.simulate.camera import Camera
from fpm_inr.simulate.experiment import Setup
from fpm_inr.simulate.rig import Rig, ring_leds
from fpm_inr.simulate.samples import Specimen

WAVELENGTH_UM = {"red": 0.632, "green": 0.530, "blue": 0.470}
RING_COUNTS = (1, 7, 13, 20, 27)
DISTANCE_MM = 66.0
DETAIL_UM = 0.2
# optical path that the section is thicker where it is densest, in um
PATH_UM = 0.06


def section_setups(
    shape_y_x: tuple[int, int] = (128, 128),
    *,
    na: float = 0.256,
    pixel_um: float = 0.345,
    z_um: Mapping[str, float] | None = None,
    shift_y_x_px: Mapping[str, tuple[float, float]] | None = None,
    photons: float = 20_000,
    seed: int = 0,
) -> dict[str, Setup]:
    """One setup a wavelength for `simulate`: the RGB picture of a section of tissue that comes with
    scikit-image, its linear values as transmission.

    Parameters
    ----------
    shape_y_x : (int, int)
        Pixels of a frame.
    na, pixel_um : float
        Of the objective, and at the sample.
    z_um : mapping, optional
        Height at which each wavelength has its focus. Default: 0.
    shift_y_x_px : mapping, optional
        How far (y, x), in pixels of the frame, each is moved sideways. Default: not at all.
    photons : float
        Photo-electrons of the brightest pixel.
    seed : int
    """
    setups = {}
    for number, (name, wavelength_um) in enumerate(WAVELENGTH_UM.items()):
        move = (0.0, 0.0) if shift_y_x_px is None else shift_y_x_px.get(name, (0.0, 0.0))
        specimen = Specimen(
            f"section-{name}",
            z_um=0.0 if z_um is None else z_um.get(name, 0.0),
            opacity=1.0,
            phase_rad=6.2832 * PATH_UM / wavelength_um,
            shift_y_x_um=(move[0] * pixel_um, move[1] * pixel_um),
            detail_um=DETAIL_UM,
        )
        rig = Rig(
            Optics(wavelength_um, na, pixel_um),
            ring_leds(RING_COUNTS, 0.98 * na, DISTANCE_MM),
            DISTANCE_MM,
        )
        camera = Camera(photons=photons, read_noise_e=2, bits=12)
        setup = Setup(specimen, rig, shape_y_x, camera=camera, seed=seed)
        setups[name] = replace(setup, seed=seed + number)
    return setups
