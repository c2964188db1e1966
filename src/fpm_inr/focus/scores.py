"""How sharp every patch of every slice is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from fpm_inr.errors import DataError, SettingsError
from fpm_inr.solution import ImageStack

Method = Literal["edges", "normal-variance", "light-field", "residual"]
METHODS: tuple[str, ...] = get_args(Method)
HIGH_PASS_SIGMA_PX = 2.0  # of the light-field method: what a Gaussian of this width leaves over

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
ROUNDING = 1e-5  # of differences of squares in single precision
Measure = Callable[[ImageStack, Float32Array, Float32Array], tuple[Float32Array, float]]


@dataclass(frozen=True)
class FocusSettings:
    """How focus is judged.

    Parameters
    ----------
    method : {"edges", "normal-variance", "light-field", "residual"}
        "residual" judges by the frames; see `score_against_frames`.
    patch_px : int
        Side of a patch, in pixels.
    stride_px : int
        Largest step between patches, in pixels.
    background_clip : float, optional
        Amplitudes above it count as equal to it (1 is the mean bright-field amplitude), so that
        bright fringes around a dark specimen score nothing. Only the scores are clipped. Not for
        "edges", which judges more than amplitudes.

    Raises
    ------
    SettingsError
        A number or the method is out of range.
    """

    method: Method = "edges"
    patch_px: int = 64
    stride_px: int = 16
    background_clip: float | None = None

    @classmethod
    def usual(cls, method: Method) -> FocusSettings:
        """Patches that suit a method: the frames tell the heights of smaller ones."""
        return cls(method, 32, 8) if method == "residual" else cls(method)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SettingsError(
                f"is {self.method!r}", f"choose one of {', '.join(METHODS)}", field="method"
            )
        if self.patch_px < 4:
            raise SettingsError(
                f"is {self.patch_px} pixels", "give at least 4 pixels", field="patch"
            )
        if not 1 <= self.stride_px <= self.patch_px:
            raise SettingsError(
                f"is {self.stride_px} pixels for patches of {self.patch_px}",
                "give 1 pixel to a whole patch",
                field="stride",
            )
        if self.background_clip is not None and not (
            np.isfinite(self.background_clip) and self.background_clip > 0
        ):
            raise SettingsError(
                f"is {self.background_clip}", "give a positive amplitude", field="background clip"
            )
        if self.background_clip is not None and self.method in ("edges", "residual"):
            raise SettingsError(
                f"is of no use to the method {self.method!r}",
                "leave it out or choose normal-variance or light-field",
                field="background clip",
            )


@dataclass(frozen=True, eq=False)
class FocusScores:
    """Sharpness of every patch at every height; higher is sharper.

    Parameters
    ----------
    score_z_y_x : array [z, patch row, patch column]
    whole_z : array [z]
        Sharpness of the whole image.
    z_um : array [z], ascending
    centre_y_px, centre_x_px : array [patch row], [patch column]
        Centres of the patches, in pixels.
    shape_y_x : (int, int)
        Of the images.
    pixel_um : float
    settings : FocusSettings
    """

    score_z_y_x: Float32Array
    whole_z: FloatArray
    z_um: FloatArray
    centre_y_px: FloatArray
    centre_x_px: FloatArray
    shape_y_x: tuple[int, int]
    pixel_um: float
    settings: FocusSettings

    def curve_at(self, y_px: float, x_px: float) -> FloatArray:
        """Focus curve [z] of the patch around a pixel, interpolated between patches.

        Raises
        ------
        SettingsError
            The point lies outside the image.
        """
        height, width = self.shape_y_x
        if not (0 <= y_px <= height - 1 and 0 <= x_px <= width - 1):
            raise SettingsError(
                f"is ({y_px:g}, {x_px:g}), outside the image of {height} x {width} pixels (y x x)",
                "give Y X inside it",
                field="point",
            )
        y = interpolation(self.centre_y_px, np.array([y_px]))
        x = interpolation(self.centre_x_px, np.array([x_px]))
        curve: FloatArray = (y @ self.score_z_y_x @ x.T)[:, 0, 0].astype(np.float64)
        return curve


def score_slices(
    slices: Iterable[ImageStack],
    settings: FocusSettings | None = None,
    on_slice: Callable[[], None] = lambda: None,
) -> FocusScores:
    """Judge slices one by one; no more than one is held.

    Normal variance is the variance of a patch's amplitude over its mean (Groen, Young and
    Ligthart, Cytometry 6, 81, 1985). It is largest in focus for specimens that absorb: propagation
    keeps the energy, the mean of ``|u|^2``, so the variance of ``|u|`` is largest where its mean is
    smallest; that is in focus for amplitude objects, out of focus for pure phase objects (Dubois et
    al., Opt. Express 14, 5895, 2006).

    The edge score is the normal variance of the modulus of the complex field's gradient. The
    gradient's energy is kept as well, and in focus it is gathered at edges, of absorption and of
    refraction alike (edge sparsity: Zhang et al., Opt. Lett. 42, 3824, 2017).

    The light-field score is the energy of the amplitude's fine detail under a Gaussian window as
    wide as a patch.

    Amplitudes are taken as they are: no score of one patch depends on another patch or slice, as it
    would after a stretch between extremes.

    Parameters
    ----------
    slices : iterable of one-slice ImageStack, z ascending
        A height given again (by a solution that has images at certain heights only) is passed over.
    settings : FocusSettings, optional
    on_slice : callable
        Called after each slice.

    Raises
    ------
    DataError
        There is no slice, or slices disagree in shape, are not finite, or do not ascend in z.
    SettingsError
        Patches are larger than the image.
    """
    settings = settings or FocusSettings()
    if settings.method == "residual":
        raise SettingsError(
            "residual needs the frames", "give the acquisition as well (--data)", field="method"
        )

    def measure(
        stack: ImageStack, y_windows: Float32Array, x_windows: Float32Array
    ) -> tuple[Float32Array, float]:
        judged = judged_image(stack.field_z_y_x[0], settings)
        if not np.isfinite(judged).all():
            raise DataError(
                f"is not finite at z = {stack.z_um[0]:g} um", "repair the stack", field="slice"
            )
        of_patches = _fine_energy if settings.method == "light-field" else normal_variance
        return of_patches(judged, y_windows, x_windows)

    return collect_scores(slices, settings, measure, on_slice)


def collect_scores(
    slices: Iterable[ImageStack],
    settings: FocusSettings,
    measure: Measure,
    on_slice: Callable[[], None] = lambda: None,
    windows: tuple[Float32Array, Float32Array] | None = None,
) -> FocusScores:
    """Judge slices one by one with a measure of one's own.

    Parameters
    ----------
    slices : iterable of one-slice ImageStack, z ascending
    settings : FocusSettings
    measure : callable
        (slice, weights [patch row, y], weights [patch column, x]) -> (score [patch row, patch
        column], score of the whole image); rows of weights sum to 1.
    on_slice : callable
    windows : (weights, weights), optional
        Other weights than those of evenly spread patches.

    Raises
    ------
    DataError, SettingsError
        As `score_slices`.
    """
    scores: list[Float32Array] = []
    whole: list[float] = []
    z_um: list[float] = []
    first: ImageStack | None = None
    for stack in slices:
        if first is None:
            first = stack
            y_windows, x_windows = windows or (
                patch_windows(stack.shape_y_x[0], settings),
                patch_windows(stack.shape_y_x[1], settings),
            )
        on_slice()
        if len(stack.z_um) == 1 and z_um and stack.z_um[0] == z_um[-1]:
            continue
        _check_slice(stack, first, z_um)
        patches, of_whole = measure(stack, y_windows, x_windows)
        scores.append(patches)
        whole.append(of_whole)
        z_um.append(float(stack.z_um[0]))
    if first is None:
        raise DataError("holds no slices", "give at least one height", field="z")
    return FocusScores(
        np.stack(scores),
        np.array(whole),
        np.array(z_um),
        patch_centres(y_windows),
        patch_centres(x_windows),
        first.shape_y_x,
        first.pixel_um,
        settings,
    )


def _check_slice(stack: ImageStack, first: ImageStack, z_um: list[float]) -> None:
    if len(stack.z_um) != 1:
        raise DataError(f"holds {len(stack.z_um)} heights", "give slices one by one", field="slice")
    if stack.shape_y_x != first.shape_y_x:
        raise DataError(
            f"has shape {stack.shape_y_x} after {first.shape_y_x}",
            "give slices of one shape",
            field="slice",
        )
    if z_um and stack.z_um[0] <= z_um[-1]:
        raise DataError(
            f"is {stack.z_um[0]:g} um after {z_um[-1]:g} um", "give ascending heights", field="z"
        )


def interpolation(
    centre_px: FloatArray, at_px: NDArray[Any], *, goes_on: bool = False
) -> Float32Array:
    """Weights [position, patch] of linear interpolation.

    Beyond the outer centres the value stays, or (`goes_on`) the slope does.
    """
    rows = [np.interp(at_px, centre_px, row) for row in np.eye(len(centre_px))]
    weights: Float32Array = np.array(rows, dtype=np.float32).T
    if goes_on and len(centre_px) > 1:
        for outer, inner in ((0, 1), (-1, -2)):
            apart = centre_px[outer] - centre_px[inner]
            beyond = np.maximum((at_px - centre_px[outer]) / apart, 0.0)
            weights[:, outer] += beyond
            weights[:, inner] -= beyond
    return weights


def patch_windows(length: int, settings: FocusSettings) -> Float32Array:
    """Averaging weights [patch, pixel] along one axis; each row sums to 1.

    The outermost patches are centred on the image's edge and cut there to one half.
    """
    patch = settings.patch_px
    if patch > length:
        raise SettingsError(
            f"of {patch} pixels is larger than the image of {length}",
            f"give at most {length}",
            field="patch",
        )
    count = int(np.ceil(length / settings.stride_px)) + 1
    pixel = np.arange(length) + 0.5
    from_centre = pixel - np.linspace(0, length, count).round()[:, None]
    if settings.method != "light-field":
        weights = (np.abs(from_centre) <= patch / 2).astype(np.float64)
    else:  # the standard deviation of a box of the patch's width
        weights = np.exp(-6 * (from_centre / patch) ** 2)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def patch_centres(windows: Float32Array) -> FloatArray:
    centres: FloatArray = windows.astype(np.float64) @ np.arange(windows.shape[1])
    return centres


def judged_image(field: NDArray[np.complex64], settings: FocusSettings) -> Float32Array:
    """Take the real image [y, x] that is judged: the amplitude, or the modulus of the gradient."""
    if settings.method != "edges":
        amplitude = np.abs(field)
        if settings.background_clip is not None:
            np.minimum(amplitude, np.float32(settings.background_clip), out=amplitude)
        return amplitude
    squared = np.zeros(field.shape, np.float32)  # forward differences; none beyond the last pixel
    for there, here, place in (
        (field[1:], field[:-1], squared[:-1]),
        (field[:, 1:], field[:, :-1], squared[:, :-1]),
    ):
        step = there - here
        place += step.real**2 + step.imag**2
    return np.sqrt(squared)


def normal_variance(
    image: Float32Array, y_windows: Float32Array, x_windows: Float32Array
) -> tuple[Float32Array, float]:
    mean_of_all = float(image.mean(dtype=np.float64))
    rest = image - np.float32(mean_of_all)  # so that squares keep their digits
    of_rest = y_windows @ rest @ x_windows.T
    np.square(rest, out=rest)
    of_squares = y_windows @ rest @ x_windows.T
    variance = of_squares - of_rest**2
    variance[variance < ROUNDING * of_squares] = 0  # a flat patch has none
    mean = np.maximum(of_rest + np.float32(mean_of_all), 0)
    score = np.divide(variance, mean, out=np.zeros_like(variance), where=mean > 0)
    whole = float(rest.mean(dtype=np.float64)) / mean_of_all if mean_of_all > 0 else 0.0
    return score, whole


def _fine_energy(
    image: Float32Array, y_windows: Float32Array, x_windows: Float32Array
) -> tuple[Float32Array, float]:
    coarse = gaussian_filter(image, HIGH_PASS_SIGMA_PX, mode="nearest", truncate=3)
    fine = image - np.asarray(coarse, dtype=np.float32)
    np.square(fine, out=fine)
    whole = float(fine.mean(dtype=np.float64))
    return np.asarray(y_windows @ fine @ x_windows.T, dtype=np.float32), whole
