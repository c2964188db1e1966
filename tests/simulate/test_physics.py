"""Laws of the simulator's light, and its agreement with the model that reconstructions assume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fpm_inr.acquisition import Optics
from fpm_inr.simulate import Errors, Rig, Setup, Specimen, preset, simulate
from fpm_inr.simulate.camera import noll_zernike
from fpm_inr.simulate.multislice import (
    Medium,
    cut_slices,
    exit_spectra,
    propagate,
    slice_step_um,
)
from fpm_inr.simulate.rig import grid_leds
from fpm_inr.simulate.samples import Sheet

NORMAL = np.zeros((1, 2))


def as_the_model_says(
    setup: Setup, field_y_x: NDArray[np.complex128], z_um: float, na_xy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """|IFFT(P(k) exp(+i kz z) O(k + shift))|, written out: sums over exact plane waves.

    The sub-pixel part of the shift is taken exactly, by tilting the object (which is zero beyond
    the frame or periodic with it).
    """
    optics = setup.rig.optics
    height, width = setup.shape_y_x
    up = setup.upsampling
    step = np.array([1 / (height * optics.pixel_um), 1 / (width * optics.pixel_um)])
    shift = na_xy[::-1] / optics.wavelength_um
    window = np.rint(shift / step).astype(int)
    spectrum = np.fft.fft2(field_y_x) / field_y_x.size
    image = np.zeros((height, width), complex)
    y, x = np.arange(height)[:, None] / height, np.arange(width)[None, :] / width
    for my in range(-(height // 2), height // 2):
        for mx in range(-(width // 2), width // 2):
            k = np.array([my, mx]) * step + window * step - shift
            if np.hypot(*k) > optics.na / optics.wavelength_um:
                continue
            kz = 2 * np.pi * np.sqrt((optics.medium_index / optics.wavelength_um) ** 2 - k @ k)
            sample = spectrum[(my + window[0]) % (height * up), (mx + window[1]) % (width * up)]
            image += sample * np.exp(1j * kz * z_um) * np.exp(2j * np.pi * (my * y + mx * x))
    return np.abs(image)


def small(**changes: object) -> Setup:
    optics = Optics(wavelength_um=0.5226, na=0.256, pixel_um=0.345)
    setup = Setup(
        Specimen("immunohistochemistry", "thin"),
        Rig(optics, grid_leds(3, 12.3) + np.array([1.7, -0.9]), 66.0),
        shape_y_x=(32, 40),
        periodic=True,
    )
    return replace(setup, **changes)


@pytest.mark.parametrize("medium_index", [1.0, 1.33])
def test_a_thin_specimen_out_of_focus_is_what_the_model_says(medium_index: float) -> None:
    setup = small(specimen=Specimen("immunohistochemistry", z_um=12.0))
    setup = replace(
        setup,
        rig=replace(setup.rig, optics=replace(setup.rig.optics, medium_index=medium_index)),
    )
    made = simulate(setup)
    field = made.truth.object_y_x.astype(complex)
    twin_differs = 0.0
    for led, na_xy in enumerate(made.acquisition.illumination.na_led_xy):
        seen = made.acquisition.amplitude_led_y_x[led]
        assert np.abs(seen - as_the_model_says(setup, field, 12.0, na_xy)).max() < 2e-5
        wrong = as_the_model_says(setup, field, -12.0, na_xy)
        twin_differs = max(twin_differs, float(np.abs(seen - wrong).max()))
    assert twin_differs > 0.1
