"""What the residual holds beside noise, and which part of the model is to blame.

Every part of the model that a solve takes for granted leaves its own pattern when it is wrong: a
pupil the same one in all frames, an LED in its own frame, a thick part at its own place. How the
predicted frames would change with each is known (`fpm_inr.trust.responses`); what of the residual
such a change would explain tells them apart. The object has taken up some of every error, so a
change that is found is somewhat smaller than the true one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from fpm_inr.acquisition import Acquisition
from fpm_inr.solution import Solution
from fpm_inr.trust.clipping import clipped_share
from fpm_inr.trust.moved_led import Moved, moved_leds
from fpm_inr.trust.responses import MODES, Answer, answers

FloatArray = NDArray[np.float64]

WINDOW_PX = 16  # of the frames, over which a place is judged
# Below this, over the noise, no excess is worth a name; a clean simulated series keeps 0.1 to 0.8.
LEAST_EXCESS = 1.0
# Share of the excess that a changed pupil must explain, and the phase (rad RMS) it takes.
LEAST_PUPIL_SHARE, LEAST_PUPIL_RAD = 0.25, 0.1
# How far the excess of a place must stand above the median place's.
PLACE_STANDS_OUT = 4.0
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")
MOST_MOVED = 3  # LEDs that are named one by one
LEAST_CLIPPED = 0.002  # share of a frame's pixels
NAMES = {
    5: "astigmatism",
    6: "astigmatism",
    7: "coma",
    8: "coma",
    9: "trefoil",
    10: "trefoil",
    11: "spherical aberration",
}


@dataclass(frozen=True, eq=False)
class ModelError:
    """What noise does not explain, by LED and by place, at one height.

    Parameters
    ----------
    leds : array [led]
        Numbers of the frames that were used: of their LEDs, where each has one.
    source : {"LED", "frame"}
        What these number.
    excess_led : array [led]
        Squared error over what the noise leaves, less 1.
    excess_y_x : array [y, x]
        The same at every place of the frame, over a window; not a number in the rim, which is not
        judged.
    height_y_x_um : array [y, x]
        By how much the parallax of the frames, against the one image, says that a place lies off:
        where the excess is large, how far the thin model is left behind. 0 where nothing is told.
    pupil_rad : array [mode]
        Phase, in rad RMS, of the Zernike modes `MODES` that would explain most.
    pupil_share : float
        Share of the excess that it would explain.
    moved : list of Moved
        LEDs that explain their frames elsewhere.
    clipped_led : array [led]
        Share of every frame's pixels that are clipped and not marked as such.
    z_um : float
    """

    leds: NDArray[np.intp]
    source: Literal["LED", "frame"]
    excess_led: FloatArray
    excess_y_x: FloatArray
    height_y_x_um: FloatArray
    pupil_rad: FloatArray
    pupil_share: float
    moved: list[Moved]
    clipped_led: FloatArray
    z_um: float

    @property
    def excess(self) -> float:
        """Median over places: what the whole frame keeps over its noise."""
        judged = self.excess_y_x[np.isfinite(self.excess_y_x)]
        return float(np.median(judged)) if judged.size else 0.0

    @property
    def is_pupil_wrong(self) -> bool:
        return (
            float(np.median(self.excess_led)) > LEAST_EXCESS
            and self.pupil_share > LEAST_PUPIL_SHARE
            and float(np.linalg.norm(self.pupil_rad)) > LEAST_PUPIL_RAD
        )

    @property
    def thick_y_x(self) -> NDArray[np.bool_]:
        """Places [y, x] that stand out: one thin image does not explain their frames.

        None where frames are clipped, which spoils bright places alike.
        """
        if len(self.clipped_leds):
            return np.zeros(self.excess_y_x.shape, dtype=bool)
        limit = max(LEAST_EXCESS, PLACE_STANDS_OUT * max(self.excess, 0.0))
        return np.asarray(np.nan_to_num(self.excess_y_x) > limit)

    def warnings(self) -> Iterator[str]:
        """What is named, in sentences for a person; none on a clean series."""
        if self.is_pupil_wrong:
            worst = MODES[int(np.abs(self.pupil_rad).argmax())]
            name = NAMES.get(worst, "higher aberration")
            yield (
                f"The pupil is not the one that was used: {name} (Zernike mode {worst}) above all, "
                f"{np.linalg.norm(self.pupil_rad):.2g} rad RMS or more, would explain "
                f"{self.pupil_share:.0%} of what noise does not. Try --calibrate gains,pupil."
            )
        if len(self.moved) > MOST_MOVED:
            named = ", ".join(str(one.led) for one in self.moved)
            yield (
                f"{len(self.moved)} LEDs explain their frames better elsewhere: {named} (counted "
                "from 0). So many are not single LEDs off their places: the array, the pupil or "
                "the height is. Try --calibrate gains,pupil,pose, and the height."
            )
        for one in self.moved if len(self.moved) <= MOST_MOVED else ():
            x, y = one.samples_xy
            yield (
                f"LED {one.led} (counted from 0) explains its frame better {np.hypot(x, y):.1f} "
                f"Fourier samples away ({x:+.1f} along x, {y:+.1f} along y): {one.fall:.0%} of its "
                "error goes. Check its place in the LED list, or --calibrate shifts."
            )
        clipped = self.clipped_leds
        if len(clipped):
            named = ", ".join(map(str, clipped[:10])) + (" and more" if len(clipped) > 10 else "")
            yield (
                f"Frames are clipped at their brightest: {self._named(named)} (counted from 0), "
                f"up to {self.clipped_led.max():.1%} of their pixels. Expose shorter, or mark them "
                "as saturated (docs/acquisition-yaml.md)."
            )
        if self.thick_y_x.any():
            yield self._thick()

    def _named(self, numbers: str) -> str:
        return f"those of LEDs {numbers}" if self.source == "LED" else numbers

    def _thick(self) -> str:
        where = self.thick_y_x
        place = _worst_ninth(np.where(where, np.nan_to_num(self.excess_y_x), 0))
        height = float(np.median(self.height_y_x_um[where]))
        away = f" Its parallax is that of structure {abs(height):.2g} um away or more." * bool(
            height
        )
        return (
            f"One thin image does not explain {where.mean():.0%} of the frame, in the "
            f"{place}: what is left there is "
            f"{np.median(self.excess_y_x[where]) / max(self.excess, 0.1):.0f} times that elsewhere."
            f"{away} The specimen is thick there or lies at another height; solve a range of z."
        )

    def numbers(self) -> dict[str, Any]:
        """As run.json holds it."""
        return {
            "z_um": self.z_um,
            "excess_over_noise": self.excess,
            "pupil_share": self.pupil_share,
            "pupil_rad": dict(zip(map(str, MODES), self.pupil_rad.tolist(), strict=True)),
            "moved_leds": [asdict(one) for one in self.moved],
            "clipped_leds": self.clipped_leds.tolist(),
            "thick_share": float(self.thick_y_x.mean()),
        }

    @property
    def clipped_leds(self) -> NDArray[np.intp]:
        """Numbers, as `leds`, of those that are clipped."""
        return self.leds[self.clipped_led > LEAST_CLIPPED]


def model_error(acquisition: Acquisition, solution: Solution, z_um: float) -> ModelError:
    """Find what a solution leaves unexplained beside noise.

    Parameters
    ----------
    acquisition : Acquisition
        What the solution was made from.
    solution : Solution
    z_um : float
        Where the specimen lies: the height that explains the frames best.
    """
    frames = solution.frames_used(acquisition)
    clipped = clipped_share(acquisition.select(frames), frames)
    sums = _Sums(acquisition.shape_y_x)
    for answer in answers(acquisition, solution, z_um):
        sums.add(answer, is_clipped=clipped.get(answer.frame, 0.0) > LEAST_CLIPPED)
    pupil = np.asarray(np.linalg.lstsq(sums.modes, sums.of_modes, rcond=None)[0], np.float64)
    excess = max(float(sums.error_led.sum() - sums.noise_led.sum()), 1e-30)
    excess_led = sums.error_led / np.maximum(sums.noise_led, 1e-30) - 1
    moved = []
    if sums.shift:
        moved = moved_leds(
            acquisition, solution, z_um, sums.leds, np.array(sums.shift), np.array(sums.of_shift)
        )
    excess_y_x, height = sums.places()
    return ModelError(
        sums.leds,
        "LED" if acquisition.illumination.lighting is None else "frame",
        excess_led,
        excess_y_x,
        height,
        pupil,
        float(pupil @ sums.of_modes) / excess,
        moved,
        np.array([clipped.get(int(led), 0.0) for led in sums.leds]),
        z_um,
    )


class _Sums:
    """What is kept of the answers, one frame after the other."""

    def __init__(self, shape_y_x: tuple[int, int]) -> None:
        self.modes = np.zeros((len(MODES), len(MODES)))
        self.of_modes = np.zeros(len(MODES))
        self.shift: list[FloatArray] = []
        self.of_shift: list[float] = []
        self._leds: list[int] = []
        self._error: list[float] = []
        self._noise: list[float] = []
        self._error_y_x, self._noise_y_x, self._slope, self._of_slope = np.zeros((4, *shape_y_x))

    def add(self, one: Answer, *, is_clipped: bool) -> None:
        """Take a frame into account; where it is clipped, not for pupil and places."""
        missed = one.missed_y_x
        self._leds.append(one.frame)
        self._error.append(float(np.square(missed).sum()))
        self._noise.append(float(one.noise_y_x.sum()))
        if one.shift_2_y_x is not None:
            step, explained = _fitted(one.shift_2_y_x.reshape(2, -1), missed.ravel())
            self.shift.append(step)
            self.of_shift.append(explained / max(self._noise[-1], 1e-30))
        if is_clipped:
            return
        modes = one.modes_mode_y_x.reshape(len(MODES), -1)
        self.modes += modes @ modes.T
        self.of_modes += modes @ missed.ravel()
        self._error_y_x += np.square(missed)
        self._noise_y_x += one.noise_y_x
        self._slope += np.square(one.height_y_x)
        self._of_slope += one.height_y_x * missed

    @property
    def leds(self) -> NDArray[np.intp]:
        return np.array(self._leds, dtype=np.intp)

    @property
    def error_led(self) -> FloatArray:
        return np.array(self._error)

    @property
    def noise_led(self) -> FloatArray:
        return np.array(self._noise)

    def places(self) -> tuple[FloatArray, FloatArray]:
        """Excess over the noise, and the height, of every place [y, x]."""
        side = min(WINDOW_PX, *self._error_y_x.shape)
        error, noise, slope, of_slope = (
            uniform_filter(one, side)
            for one in (self._error_y_x, self._noise_y_x, self._slope, self._of_slope)
        )
        judged = self._noise_y_x > 0
        excess = np.full_like(error, np.nan)
        excess[judged] = error[judged] / np.maximum(noise[judged], 1e-30) - 1
        # where all is noise, parallax is that of the noise
        told = judged & (of_slope**2 > 0.05 * np.maximum(error - noise, 0) * slope) & (slope > 0)
        height = np.zeros_like(error)
        height[told] = of_slope[told] / slope[told]
        return excess, height


def _worst_ninth(image_y_x: FloatArray) -> str:
    """Which ninth of an image holds most."""
    sums = np.array(
        [
            [part.sum() for part in np.array_split(rows, 3, axis=1)]
            for rows in np.array_split(image_y_x, 3, axis=0)
        ]
    )
    y, x = divmod(int(sums.argmax()), 3)
    return "centre" if y == x == 1 else f"{ROWS[y]} {COLUMNS[x]}"


def _fitted(rates: FloatArray, missed: FloatArray) -> tuple[FloatArray, float]:
    """Least-squares steps along these rates [rate, pixel], and the squares they explain."""
    normal = rates @ rates.T
    pull = rates @ missed
    steps = np.asarray(np.linalg.lstsq(normal, pull, rcond=None)[0], np.float64)
    return steps, float(steps @ pull)
