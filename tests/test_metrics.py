"""Laws that measures of likeness must keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import fourier_shift, gaussian_filter
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio

from fpm_inr import metrics
from fpm_inr.errors import DataError
from fpm_inr.simulate.targets import draw_siemens, draw_usaf, usaf_elements

N = 96


def smooth(seed: int, sigma: float = 2.0, shape: tuple[int, int] = (N, N + 8)) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma, mode="wrap")
    return 1.0 + 0.2 * noise / noise.std()


def field(seed: int) -> np.ndarray:
    return smooth(seed) * np.exp(1j * 3 * (smooth(seed + 100) - 1))


class TestFormulas:
    def test_literal(self):
        a, b = smooth(1), smooth(2)
        assert metrics.rmse(a, b) == pytest.approx(np.sqrt(((a - b) ** 2).mean()))
        assert metrics.relative_l2(a, b) == pytest.approx(normalized_root_mse(b, a))
        assert metrics.relative_l2(a, b) == pytest.approx(np.linalg.norm(a - b) / np.linalg.norm(b))
        assert metrics.ratio_of_squares(a, b) == pytest.approx(metrics.relative_l2(a, b) ** 2)
        assert metrics.psnr(a, b) == pytest.approx(
            peak_signal_noise_ratio(b, a, data_range=np.ptp(b))
        )
        assert metrics.ncc(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
        s, t = ((x - x.min()) / (x.max() - x.min()) for x in (a, b))
        assert metrics.all_in_focus_l2(a, b) == pytest.approx(
            ((s - s.mean() - t + t.mean()) ** 2).mean()
        )

    def test_perfect(self):
        a = smooth(1)
        assert metrics.rmse(a, a) == metrics.relative_l2(a, a) == metrics.all_in_focus_l2(a, a) == 0
        assert metrics.psnr(a, a) == np.inf
        assert metrics.ssim(a, a) == pytest.approx(1)
        assert metrics.ncc(a, a) == pytest.approx(1)

    @settings(max_examples=20, deadline=None)
    @given(st.floats(0.01, 100), st.floats(-10, 10))
    def test_affine_changes_do_not_matter_to_ncc_and_the_papers_l2(self, gain, offset):
        a, b = smooth(1), smooth(2)
        assert metrics.ncc(gain * a + offset, b) == pytest.approx(metrics.ncc(a, b))
        assert metrics.ncc(-gain * a + offset, b) == pytest.approx(-metrics.ncc(a, b))
        assert metrics.all_in_focus_l2(gain * a + offset, b) == pytest.approx(
            metrics.all_in_focus_l2(a, b)
        )

    def test_complex_ncc_ignores_a_complex_factor_and_offset(self):
        a = field(1)
        assert metrics.ncc((2 - 3j) * a + 5j, a) == pytest.approx(1)


class TestAlignment:
    @settings(max_examples=10, deadline=None)
    @given(st.floats(-4, 4), st.floats(-4, 4), st.floats(0.1, 9), st.floats(-3.1, 3.1))
    def test_recovers_shift_and_factor(self, dy, dx, gain, angle):
        reference = field(3)
        factor = gain * np.exp(1j * angle)
        moved = np.fft.ifft2(fourier_shift(np.fft.fft2(reference), (dy, dx))) * factor
        aligned = metrics.align(moved, reference)
        assert aligned.shift_y_x_px == pytest.approx((-dy, -dx), abs=0.05)
        assert aligned.factor * factor == pytest.approx(1, abs=0.02)
        assert metrics.relative_l2(aligned.result, aligned.reference) < 0.02

    def test_real_images(self):
        reference = smooth(3)
        moved = 7 * np.fft.ifft2(fourier_shift(np.fft.fft2(reference), (2.5, -1.25))).real
        aligned = metrics.align(moved, reference)
        assert not np.iscomplexobj(aligned.result)
        assert aligned.shift_y_x_px == pytest.approx((-2.5, 1.25), abs=0.05)
        assert metrics.relative_l2(aligned.result, aligned.reference) < 0.02

    def test_images_in_place_are_left_in_place(self):
        reference = field(3)
        noise = 0.05 * np.random.default_rng(0).normal(size=reference.shape)
        aligned = metrics.align(reference + noise, reference)
        assert np.abs(aligned.shift_y_x_px).max() <= 0.02
        kept = metrics.align(2j * reference, reference, find_shift=False)
        assert kept.shift_y_x_px == (0, 0)
        assert kept.result.shape == reference.shape
        np.testing.assert_allclose(kept.result, reference)

    def test_flat_images_are_not_moved(self):
        aligned = metrics.align(np.full((N, N), 2.0), np.full((N, N), 3.0))
        assert aligned.shift_y_x_px == (0, 0)
        assert aligned.factor == pytest.approx(1.5)


class TestPhase:
    @settings(max_examples=20, deadline=None)
    @given(st.floats(-20, 20), st.floats(-20, 20), st.floats(-3, 3))
    def test_ramp_and_offset_are_removed_exactly(self, turns_y, turns_x, offset):
        reference = field(5)
        y, x = np.mgrid[: reference.shape[0], : reference.shape[1]] / N
        ramp = np.exp(1j * (2 * np.pi * (turns_y * y + turns_x * x) + offset))
        assert metrics.phase_rmse(4 * reference * ramp, reference) < 1e-6

    def test_known_error(self):
        reference = field(5)
        error = 0.1 * np.random.default_rng(1).normal(size=reference.shape)
        found = metrics.phase_rmse(reference * np.exp(1j * error), reference)
        weight = np.abs(reference) ** 2
        assert found == pytest.approx(np.sqrt((weight * error**2).sum() / weight.sum()), rel=0.02)

    def test_dark_pixels_do_not_count(self):
        reference = field(5)
        result = reference.copy()
        reference[:20] = 1e-9
        result[:20] *= np.exp(2j)
        assert metrics.phase_rmse(result, reference) < 1e-3


class TestRings:
    def test_identical_agree_to_the_end(self):
        image = np.random.default_rng(0).normal(size=(N, N))
        rings = metrics.fourier_ring_correlation(image, image, 0.5)
        np.testing.assert_allclose(rings.correlation, 1)
        assert rings.resolution_um() == pytest.approx(1.0, rel=0.03)  # two pixels

    @pytest.mark.parametrize("is_complex", [False, True])
    def test_independent_noise_does_not_agree(self, is_complex):
        random = np.random.default_rng(0)
        a, b = random.normal(size=(2, 256, 256)) + is_complex * 1j * random.normal(
            size=(2, 256, 256)
        )
        rings = metrics.fourier_ring_correlation(a, b)
        assert np.abs(rings.correlation[10:]).mean() < 0.08
        assert np.abs(rings.correlation[10:].mean()) < 0.02

    def test_resolution_is_where_noise_takes_over(self):
        random = np.random.default_rng(0)
        n, cut, pixel = 256, 0.2, 0.5
        ky, kx = np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n)[None]
        band = np.hypot(ky, kx) < cut
        common = np.fft.ifft2(np.fft.fft2(random.normal(size=(n, n))) * band).real
        a, b = (common + 0.4 * random.normal(size=(n, n)) for _ in range(2))
        rings = metrics.fourier_ring_correlation(a, b, pixel)
        assert rings.resolution_um() == pytest.approx(pixel / cut, rel=0.07)
        assert rings.resolution_um(rings.half_bit) == pytest.approx(pixel / cut, rel=0.07)
        assert rings.half_bit[0] > 0.5 > 0.25 > rings.half_bit[-1] > 0.1716

    def test_symmetry_and_scale(self):
        a, b = smooth(1) + 0.1 * smooth(7, 0.5), smooth(1)
        one = metrics.fourier_ring_correlation(a, b).correlation
        np.testing.assert_allclose(one, metrics.fourier_ring_correlation(b, 5 * a).correlation)


class TestTargets:
    pixel_um = 0.25

    def grid(self, n: int = 400) -> np.ndarray:
        return (np.arange(n) - (n - 1) / 2) * self.pixel_um

    def test_siemens(self):
        at = self.grid()
        target = 1 - 0.9 * draw_siemens(at, at, 100.0)
        how = {
            "pixel_um": self.pixel_um,
            "centre_y_x_px": (199.5, 199.5),
            "spokes": 36,
            "radius_um": np.array([6.0, 10.0, 20.0, 40.0]),
        }
        perfect = metrics.siemens_contrast(target, target, **how)
        np.testing.assert_allclose(perfect.contrast, 1)
        np.testing.assert_allclose(perfect.frequency_per_um, 36 / (2 * np.pi * how["radius_um"]))
        half = metrics.siemens_contrast(0.5 * target + 3, target, **how)
        np.testing.assert_allclose(half.contrast, 0.5)
        sigma = 2.0
        blurred = metrics.siemens_contrast(gaussian_filter(target, sigma), target, **how)
        transfer = np.exp(-2 * (np.pi * sigma * self.pixel_um * perfect.frequency_per_um) ** 2)
        np.testing.assert_allclose(blurred.contrast[1:], transfer[1:], atol=0.04)
        reversed_ = metrics.siemens_contrast(2 - target, target, **how)
        np.testing.assert_allclose(reversed_.contrast, -1)
        with pytest.raises(DataError, match="radii inside"):
            metrics.siemens_contrast(target, target, **how | {"radius_um": np.array([60.0])})

    def test_usaf(self):
        at = self.grid()
        target = 1 - draw_usaf(at, at, 100.0)
        elements = usaf_elements(100.0, 0.5)
        how = {"pixel_um": self.pixel_um, "centre_y_x_px": (199.5, 199.5)}
        perfect = metrics.usaf_contrast(target, target, elements, **how)
        assert len(perfect) == len(elements) > 10
        assert [e.upright for e in perfect] == pytest.approx([1.0] * len(elements))
        assert [e.level for e in perfect] == pytest.approx([1.0] * len(elements))
        along_x = metrics.usaf_contrast(gaussian_filter(target, (0, 2)), target, elements, **how)
        for one in along_x:  # level bars blur only at their ends
            assert one.upright < one.level
        finest = max(along_x, key=lambda one: one.line_pairs_per_mm)
        coarsest = min(along_x, key=lambda one: one.line_pairs_per_mm)
        assert finest.upright < 0.35 < 0.8 < coarsest.upright
        with pytest.raises(DataError, match="leaves the image"):
            metrics.usaf_contrast(
                target, target, elements, pixel_um=0.25, centre_y_x_px=(20.0, 20.0)
            )
        with pytest.raises(DataError, match="does not hold"):
            metrics.usaf_contrast(target, np.ones_like(target), elements, **how)

    def test_cutoff_is_the_first_loss_of_contrast(self):
        def cutoff(*contrast: float) -> float | None:
            return metrics.SiemensContrast(
                np.array([0.1, 0.2, 0.4, 0.5]), np.array(contrast)
            ).cutoff_um

        assert cutoff(1.0, 0.9, 0.5, 0.2) == pytest.approx(2)
        assert cutoff(1.0, 0.2, 0.0, 0.4) == pytest.approx(1 / 0.3)  # 0.4 is spurious
        assert cutoff(0.05, 0.0, 0.0, 0.0) is None
        assert metrics.SiemensContrast(np.empty(0), np.empty(0)).cutoff_um is None

    def test_finest_resolved(self):
        elements = [
            metrics.ElementContrast(g, 1, 2.0**g, *pair)
            for g, pair in ((3, (0.9, 0.9)), (2, (0.9, 0.05)), (1, (0.9, 0.2)))
        ]
        assert metrics.finest_resolved(elements) == elements[2]
        assert metrics.finest_resolved(elements[:0]) is None


class TestRefusals:
    @pytest.mark.parametrize(
        ("result", "reference", "says"),
        [
            (np.ones((20, 20)), np.ones((20, 21)), "one grid"),
            (np.full((20, 20), np.nan), np.ones((20, 20)), "not finite"),
            (np.ones((20, 20)), np.zeros((20, 20)), "zero everywhere"),
            (np.zeros((20, 20)), np.ones((20, 20)), "zero everywhere"),
            (np.ones((2, 20, 20)), np.ones((2, 20, 20)), "one image"),
            (np.ones((8, 8)), np.ones((8, 8)), "at least 16"),
            (np.full((20, 20), "a"), np.ones((20, 20)), "give numbers"),
        ],
    )
    def test_compare(self, result, reference, says):
        with pytest.raises(DataError, match=says):
            metrics.compare(result, reference)

    def test_flat_and_complex(self):
        flat, image = np.ones((20, 20)), smooth(1, shape=(20, 20))
        for measure in (metrics.psnr, metrics.ssim, metrics.all_in_focus_l2):
            with pytest.raises(DataError, match="flat"):
                measure(image, flat)
            with pytest.raises(DataError, match="complex"):
                measure(image * 1j, image)
        with pytest.raises(DataError, match="flat"):
            metrics.ncc(flat, image)


class TestCompare:
    def test_fields(self):
        reference = field(9)
        result = 3j * reference * np.exp(0.05j * (smooth(11) - 1))
        numbers = metrics.compare(result, reference, 0.2).numbers
        assert numbers["relative_l2"] < 0.02
        assert numbers["factor_modulus"] == pytest.approx(1 / 3, rel=0.01)
        assert numbers["factor_angle_rad"] == pytest.approx(-np.pi / 2, abs=0.02)
        assert numbers["amplitude_ssim"] > 0.999
        assert "frc_resolution_half_bit_um" in numbers

    def test_a_real_reference_compares_amplitudes(self):
        result = field(9)
        comparison = metrics.compare(result, 2 * np.abs(result))
        assert comparison.compared == "amplitude"
        assert comparison.numbers["relative_l2"] < 1e-6
        assert "frc_resolution_half_bit_px" in comparison.numbers

    def test_phase_objects_have_no_amplitude_contrast(self):
        reference = np.exp(1j * smooth(9))
        numbers = metrics.compare(reference, reference).numbers
        assert numbers["phase_rmse_less_ramp_rad"] == pytest.approx(0, abs=1e-9)
        assert "amplitude_ssim" not in numbers
