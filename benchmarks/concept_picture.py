"""The picture of axes and signs in docs/concepts.md; its frames come from the forward model.

python benchmarks/concept_picture.py -o docs/images/concepts.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray
from PIL import Image

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.figures import save_figure
from fpm_inr.forward import compile_forward, nominal_instrument

NA = 0.1
LED_NA_XY = (0.06, 0.03)  # an LED to the right and below, as the frames show it
HEIGHT_UM = 100.0
SIDE = 64


def frames() -> NDArray[np.float32]:
    """What the camera sees [led, y, x] of a dark spot at +z: lit from the middle, from the LED."""
    optics = Optics(wavelength_um=0.6, na=NA, pixel_um=1.5)
    illumination = Illumination(np.array([(0.0, 0.0), LED_NA_XY]))
    empty = Acquisition(np.ones((2, SIDE, SIDE), dtype=np.float32), optics, illumination)
    model = compile_forward(empty, 2)
    y, x = np.mgrid[: 2 * SIDE, : 2 * SIDE] - SIDE
    spot = 1 - 0.9 * np.exp(-(y**2 + x**2) / 60)
    amplitude = model.amplitude(
        model.spectrum(torch.from_numpy(spot).to(torch.complex64))[None],
        torch.tensor([HEIGHT_UM]),
        torch.arange(2),
        model.aperture(nominal_instrument(empty).to("cpu")),
    )
    return np.asarray(amplitude[0].numpy(), dtype=np.float32)


def microscope(axes: Axes) -> None:
    """Seen from the side: x to the right, z up, towards the LEDs."""
    leds = np.arange(-3, 4)
    axes.plot(leds, np.full(7, 5.0), "o", color="0.75", ms=9)
    axes.plot([2], [5], "o", color="tab:red", ms=9)
    axes.text(-3.2, 5.45, "LED array", va="bottom")
    axes.text(2, 5.45, "LED at +x", va="bottom", ha="center", color="tab:red")
    axes.annotate(
        "", (-0.6, -0.75), (2, 5), arrowprops={"arrowstyle": "->", "color": "tab:red", "lw": 1.5}
    )
    axes.plot([-3, 3], [0, 0], "--", color="0.4", lw=1)
    axes.text(3.1, 0, "z = 0\nin focus", va="center", color="0.3")
    axes.plot([-0.45, 0.85], [0.9, 0.9], color="tab:blue", lw=5, solid_capstyle="butt")
    axes.text(0.95, 0.9, "sample at z > 0", va="center", color="tab:blue")
    axes.add_patch(Rectangle((-1, -2.6), 2, 1.4, fc="0.9", ec="0.4"))
    axes.text(0, -1.9, "objective\nNA", ha="center", va="center")
    axes.plot([-1.5, 1.5], [-3.4, -3.4], color="k", lw=3)
    axes.text(1.7, -3.4, "camera", va="center")
    for tip, label in (((-2.0, 1.0), "x"), ((-3.0, 2.3), "z")):
        axes.annotate("", tip, (-3.0, 1.0), arrowprops={"arrowstyle": "->", "lw": 2})
        axes.text(tip[0] + 0.1, tip[1], label, fontsize=13, weight="bold")
    axes.set(xlim=(-3.8, 5.2), ylim=(-4, 6.3), title="The microscope, from the side")
    axes.axis("off")


def spectrum(axes: Axes) -> None:
    """Which part of the object's spectrum an LED brings into the pupil."""
    x, y = LED_NA_XY
    axes.add_patch(Circle((0, 0), NA + np.hypot(x, y), fc="none", ec="0.6", ls=":"))
    axes.add_patch(Circle((0, 0), NA, fc="0.9", ec="0.4"))
    axes.add_patch(Circle((x, y), NA, fc="tab:red", alpha=0.25))
    axes.add_patch(Circle((x, y), NA, fc="none", ec="tab:red"))
    axes.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": "tab:red", "lw": 2})
    axes.text(x + 0.005, y + 0.02, "+ shift", color="tab:red")
    axes.text(-0.005, -0.115, "objective's NA, lit from the middle", ha="center", fontsize=8)
    axes.text(0, -0.18, "reach of this LED: the synthetic NA", ha="center", fontsize=8)
    axes.set(xlim=(-0.22, 0.22), ylim=(0.22, -0.22), aspect="equal")
    axes.set(xlabel="x, NA units", ylabel="y, NA units (downward)")
    axes.set_title("Patch of the object's spectrum")


def frame(axes: Axes, image: NDArray[np.float32], title: str) -> None:
    axes.imshow(image, cmap="gray")
    axes.axhline(SIDE / 2, color="0.8", lw=0.5)
    axes.axvline(SIDE / 2, color="0.8", lw=0.5)
    for tip, label in (((18, 3), "x"), ((3, 18), "y")):
        axes.annotate("", tip, (3, 3), arrowprops={"arrowstyle": "->", "lw": 2})
        axes.text(*tip, label, fontsize=13, weight="bold", ha="left", va="top")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-o", "--output", type=Path, default=Path("docs/images/concepts.png"))
output: Path = parser.parse_args().output
figure = Figure(figsize=(11, 8), layout="constrained")
places = figure.subplots(2, 2)
middle, tilted = frames()
microscope(places[0, 0])
spectrum(places[0, 1])
frame(places[1, 0], middle, f"Frame: spot at z = +{HEIGHT_UM:g} um, LED in the middle")
frame(places[1, 1], tilted, f"The same, LED at x = +{LED_NA_XY[0]}, y = +{LED_NA_XY[1]}")
save_figure(figure, output)
Image.open(output).convert("RGB").quantize(64).save(output, optimize=True)
