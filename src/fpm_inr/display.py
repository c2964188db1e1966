"""How numbers become colours for a person's eyes: contrast, phase colours, scale bars."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

PHASE_COLOURS = "twilight"  # cyclic: -pi and pi look the same
PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class Contrast:
    """Amplitudes shown as black and as white."""

    black: float
    white: float

    def grey(self, amplitude: NDArray[np.float32]) -> NDArray[np.float32]:
        """Amplitude as a fraction of the way from black to white, clipped to 0..1."""
        fraction = (amplitude - self.black) / (self.white - self.black)
        return fraction.clip(0, 1).astype(np.float32)


def robust_contrast(amplitudes: Iterable[NDArray[np.float32]]) -> Contrast:
    """One contrast for several images [y, x]: their 0.5 and 99.5 percentiles.

    Each image is thinned to about 256 x 256 pixels, so that memory stays small.
    """
    thinned = [a[:: max(1, a.shape[0] // 256), :: max(1, a.shape[1] // 256)] for a in amplitudes]
    values = np.concatenate([a.ravel() for a in thinned])
    black, white = (float(v) for v in np.percentile(values, PERCENTILES))
    if white - black <= 1e-6 * max(abs(white), 1e-30):  # a flat image is shown as grey
        margin = max(abs(white), 1.0) / 2
        black, white = black - margin, white + margin
    return Contrast(black, white)


@cache
def phase_table() -> NDArray[np.uint8]:
    """The cyclic colours of phase, [256, rgb], from -pi to pi."""
    from matplotlib import colormaps

    rgba: NDArray[np.float64] = np.asarray(colormaps[PHASE_COLOURS](np.arange(256) / 256))
    table: NDArray[np.uint8] = np.rint(rgba[:, :3] * 255).astype(np.uint8)
    return table


def phase_rgb(phase: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colours [y, x, rgb] of phases in radians; any whole turns are ignored."""
    turn = (phase + np.pi) / (2 * np.pi)
    rgb: NDArray[np.uint8] = phase_table()[np.rint(turn * 256).astype(np.intp) % 256]
    return rgb


def scale_bar_um(width_um: float) -> float:
    """A round length (1, 2 or 5 times a power of ten) of at most a quarter of the width."""
    decade = 10.0 ** np.floor(np.log10(width_um / 4))
    return float(max(n * decade for n in (1, 2, 5) if n * decade <= width_um / 4))


def length_text(length_um: float) -> str:
    """A length for a label: ``50 µm``, ``0.5 µm``, ``2 mm``."""
    return f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"


def height_texts(z_um: NDArray[np.float64]) -> list[str]:
    """Heights as text with the fewest decimals (two at least) that keep them apart."""
    for decimals in range(2, 7):
        texts = [f"{z + 0.0:+.{decimals}f}" for z in np.round(z_um, decimals)]
        if len(set(texts)) == len(texts):
            return texts
    return [repr(float(z)) for z in z_um]
