"""Laws of the simulator's light, and its agreement with the model that reconstructions assume."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fpm_inr.acquisition import Optics
from fpm_inr.forward import compile_forward, nominal_instrument
from fpm_inr.optics import zernike
from fpm_inr.simulate import Camera, Errors, Rig, Setup, Specimen, preset, simulate
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
MEDIUM = Medium(wavelength_um=0.5226, index=1.0, pixel_um=0.1725)


def random_spectrum(shape: tuple[int, int], medium: Medium) -> NDArray[np.complex128]:
    """Spectrum of a random field that holds travelling waves only."""
    random = np.random.default_rng(1)
    spectrum = random.normal(size=shape) + 1j * random.normal(size=shape)
    k = [np.fft.fftfreq(side, medium.pixel_um) for side in shape]
    return np.asarray(spectrum * (np.hypot(k[0][:, None], k[1]) < 0.9 / medium.wavelength_um))


def as_the_model_says(
    setup: Setup, field_y_x: NDArray[np.complex128], z_um: float, na_xy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """|IFFT(P(k) exp(+i kz z) O(k + shift))|, written out as sums over plane waves.

    For a periodic object; its spectrum has samples only, to which the shift is exact.
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


def test_the_reconstructions_model_agrees_in_every_sign() -> None:
    """Away from the pupil's edge, which that model softens; its twin (z reversed) does not."""
    setup = small(specimen=Specimen("immunohistochemistry", z_um=12.0), shape_y_x=(64, 80))
    made = simulate(replace(setup, rig=replace(setup.rig, led_xy_mm=setup.rig.led_xy_mm / 4)))
    model = compile_forward(made.acquisition, setup.upsampling)
    instrument = nominal_instrument(made.acquisition).to("cpu")
    spectrum = model.spectrum(torch.tensor(made.truth.object_y_x)[None])
    leds = torch.arange(made.acquisition.led_count)
    aperture = model.aperture(instrument, leds)
    off = [
        np.abs(
            model.amplitude(spectrum, torch.tensor([z_um]), leds, aperture)[0].numpy()
            - made.acquisition.amplitude_led_y_x
        ).mean()
        for z_um in (12.0, -12.0)
    ]
    assert off[0] < 0.01
    assert off[1] > 0.05


def test_a_tilted_specimen_is_locally_the_thin_one_at_its_height() -> None:
    tilted = small(
        specimen=Specimen("immunohistochemistry", "tilted", z_um=3.0, tilt_deg=20.0),
        shape_y_x=(64, 40),
        periodic=False,
    )
    made = simulate(tilted)
    candidates_um = np.arange(-4.0, 10.1, 0.5)
    amplitude_z = np.stack(
        [
            simulate(
                replace(tilted, specimen=Specimen("immunohistochemistry", z_um=z))
            ).acquisition.amplitude_led_y_x
            for z in candidates_um
        ]
    )
    depth = made.truth.depth_y_x_um[::2, 0]
    for row in range(8, 56, 6):
        band = slice(row - 3, row + 4)
        error = amplitude_z[:, :, band] - made.acquisition.amplitude_led_y_x[:, band]
        best_um = candidates_um[(error**2).mean(axis=(1, 2, 3)).argmin()]
        assert abs(best_um - depth[row]) < 0.8


def test_propagation_keeps_the_energy_of_waves_that_travel() -> None:
    spectrum = random_spectrum((48, 36), MEDIUM)
    after = propagate(spectrum, 37.0, MEDIUM, NORMAL)
    assert np.isclose((np.abs(after) ** 2).sum(), (np.abs(spectrum) ** 2).sum())


def test_there_and_back_is_nowhere() -> None:
    spectrum = random_spectrum((48, 36), MEDIUM)
    oblique = np.array([[0.2, -0.13]])
    spectrum = propagate(spectrum, 0.0, MEDIUM, oblique)
    back = propagate(propagate(spectrum, 25.0, MEDIUM, oblique), -25.0, MEDIUM, oblique)
    assert np.abs(back - spectrum).max() < 1e-12


def test_a_grating_repeats_itself_after_the_talbot_distance() -> None:
    medium = Medium(0.5, 1.0, 0.5)
    x = np.arange(64) * medium.pixel_um
    period_um = 16.0
    grating = np.tile(1 + 0.8 * np.cos(2 * np.pi * x / period_um), (4, 1)).astype(complex)
    # exactly; the textbook's 2 p^2 / wavelength is its paraxial limit
    talbot_um = 1 / (1 / 0.5 - np.sqrt(1 / 0.5**2 - 1 / period_um**2))
    assert np.isclose(talbot_um, 2 * period_um**2 / 0.5, rtol=1e-3)

    def after(z_um: float) -> NDArray[np.complex128]:
        carried = propagate(np.fft.fft2(grating), z_um, medium, NORMAL)
        return np.asarray(np.fft.ifft2(carried[0]))

    assert np.allclose(after(talbot_um), grating)
    assert np.allclose(after(talbot_um / 2), np.roll(grating, 16, axis=1))
    # at a quarter, an amplitude grating is a phase grating: 1 + 0.64 cos^2 in intensity
    quarter = 1 + 0.64 * np.cos(2 * np.pi * x / period_um) ** 2
    assert np.allclose(np.abs(after(talbot_um / 4)[0]) ** 2, quarter)


def test_a_gaussian_beam_spreads_as_fresnel_says() -> None:
    medium = Medium(0.5, 1.33, 0.5)
    axis = (np.arange(256) - 128) * medium.pixel_um
    waist_um, z_um = 6.0, 120.0
    squared = axis[:, None] ** 2 + axis**2
    spectrum = np.fft.fft2(np.exp(-squared / waist_um**2))
    after = np.fft.ifft2(propagate(spectrum.astype(complex), z_um, medium, NORMAL)[0])
    rayleigh_um = np.pi * waist_um**2 * 1.33 / 0.5
    spread = 1 + (z_um / rayleigh_um) ** 2
    expected = np.exp(-2 * squared / (waist_um**2 * spread)) / spread
    assert np.abs(np.abs(after) ** 2 - expected).max() < 2e-3


def test_clear_slices_leave_a_plane_wave_alone() -> None:
    clear = Sheet(np.zeros((32, 32), complex), np.linspace(-5, 5, 32)[:, None] * np.ones((1, 32)))
    slices = cut_slices([clear], 1.0, np.dtype(np.complex128))
    spectra = exit_spectra(slices, MEDIUM, np.array([[0.0, 0.0], [0.21, -0.1]]))
    assert np.allclose(np.abs(spectra[:, 0, 0]), 1)
    assert np.isclose((np.abs(spectra) ** 2).sum(), 2)


def test_the_slice_step_holds_its_error_bound() -> None:
    """A level sheet half-way between two slices, against the same one in its own slice."""
    random = np.random.default_rng(0)
    log = random_spectrum((48, 48), MEDIUM)
    log = 0.02 * np.fft.ifft2(log) / np.abs(np.fft.ifft2(log)).max()
    step_um = slice_step_um(MEDIUM, na=0.256)
    height = np.full((48, 48), step_um / 2)
    height[0, 0], height[0, 1] = 0.0, step_um  # what makes it two slices
    log[0, :2] = 0
    na_xy = random.uniform(-0.15, 0.15, (1, 2))
    level = cut_slices([Sheet(log, np.full((1, 1), step_um / 2))], 1.0, np.dtype(np.complex128))
    between = cut_slices([Sheet(log, height)], step_um, np.dtype(np.complex128))
    assert len(between) == 2
    exact = propagate(exit_spectra(level, MEDIUM, na_xy), step_um / 2, MEDIUM, na_xy)[0]
    shared = exit_spectra(between, MEDIUM, na_xy)[0]
    exact, shared = exact / exact[0, 0], shared / shared[0, 0]
    ky = np.fft.fftfreq(48, MEDIUM.pixel_um)[:, None] - na_xy[0, 1] / MEDIUM.wavelength_um
    kx = np.fft.fftfreq(48, MEDIUM.pixel_um)[None, :] - na_xy[0, 0] / MEDIUM.wavelength_um
    passes = np.hypot(ky, kx) < 0.256 / MEDIUM.wavelength_um
    passes[0, 0] = False
    error = np.abs(shared - exact)[passes]
    assert np.sqrt((error**2).mean()) < 0.0115 * np.sqrt((np.abs(exact[passes]) ** 2).mean())


def test_zernike_modes_are_orthonormal_and_agree_with_the_reconstructions() -> None:
    axis = np.linspace(-1, 1, 401)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    inside = np.hypot(y, x) <= 1
    modes = np.stack([noll_zernike(j, y, x)[inside] for j in range(1, 16)])
    assert np.abs(modes @ modes.T / inside.sum() - np.eye(15)).max() < 0.02
    theirs = np.stack(
        [zernike(j, torch.tensor(y), torch.tensor(x)).numpy()[inside] for j in range(1, 16)]
    )
    assert np.allclose(modes, theirs)


def test_a_pupil_without_aberration_is_a_disc() -> None:
    made = simulate(small())
    pupil = made.truth.pupil_y_x
    assert set(np.unique(pupil)) == {0, 1}
    k = [np.fft.fftfreq(side, 0.345) for side in pupil.shape]
    assert np.array_equal(pupil != 0, np.hypot(k[0][:, None], k[1]) <= 0.256 / 0.5226)


def test_aberrations_bend_the_pupil_by_their_waves() -> None:
    made = simulate(small(errors=Errors(aberration_waves=((4, 0.1), (8, -0.05)))))
    phase = np.angle(made.truth.pupil_y_x[made.truth.pupil_y_x != 0])
    assert np.isclose(phase.std(), 2 * np.pi * np.hypot(0.1, 0.05), rtol=0.1)
    assert np.allclose(made.truth.zernike_waves, [0, 0, 0, 0.1, 0, 0, 0, -0.05])
    assert np.allclose(np.abs(made.truth.pupil_y_x).max(), 1)


def test_defocus_in_the_pupil_is_nearly_defocus_of_the_specimen() -> None:
    """Noll 4 is the quadratic part of exp(+i kz z): -pi k^2 z wavelength, minus its mean."""
    z_um, optics = 4.0, small().rig.optics
    waves = -z_um * optics.na**2 / optics.wavelength_um / 4 / np.sqrt(3)
    bent = simulate(small(errors=Errors(aberration_waves=((4, waves),)))).acquisition
    moved = simulate(small(specimen=Specimen("immunohistochemistry", z_um=z_um))).acquisition
    flat = simulate(small()).acquisition
    far = np.abs(moved.amplitude_led_y_x - flat.amplitude_led_y_x).mean()
    assert np.abs(bent.amplitude_led_y_x - moved.amplitude_led_y_x).mean() < 0.1 * far


def test_the_scan_is_sharpest_at_the_specimen() -> None:
    setup = small(
        specimen=Specimen("immunohistochemistry", z_um=6.0),
        scan_z_um=tuple(np.arange(-10.0, 11.0, 2.0)),
    )
    truth = simulate(setup).truth
    assert truth.scan_z_um[truth.scan_z_y_x.var(axis=(1, 2)).argmax()] == 6.0


def test_far_parts_of_the_scene_do_not_reach_round_its_edges() -> None:
    """The same frame in a wider scene. (LEDs at the pupil's edge do look further: left out.)"""
    setup = preset("demo")
    specimen = Specimen("smear", z_um=8.0)
    setup = replace(setup, shape_y_x=(48, 48), specimen=specimen, scan_z_um=())
    setup = replace(setup, camera=Camera())
    narrow = simulate(setup).acquisition
    wide = simulate(replace(setup, shape_y_x=(112, 112))).acquisition
    middle = wide.amplitude_led_y_x[:, 32:80, 32:80]
    inner = narrow.illumination.na_led < 0.1
    difference = np.abs(middle - narrow.amplitude_led_y_x)[inner].mean(axis=(1, 2))
    assert difference.max() < 0.01


def test_the_simulator_borrows_no_optics_from_the_reconstruction() -> None:
    folder = Path(simulate.__code__.co_filename).parent
    for file in folder.glob("*.py"):
        assert not re.search(r"fpm_inr\.(optics|forward)|torch", file.read_text())
