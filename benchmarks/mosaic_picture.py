"""A picture of a mosaic at three heights, with the places where its tiles meet.

    fpm-inr mosaic DATA -o /tmp/algae --tile 300 --overlap 64 --z-range -45 -25
    python benchmarks/mosaic_picture.py /tmp/algae docs/images/mosaic_algae.jpg

DATA is the folder LED_algae_data of github.com/bu-cisl/High-Throughput-IDT with an
acquisition.yaml: wavelength 0.63, NA 0.25, camera pixel 6.5 at 10.07 times, index 1.33; a grid of
4 mm at 79 mm, whose LED of img_yR_xC.tif stands at (17 - C, R - 17).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fpm_inr.display import robust_contrast
from fpm_inr.figures import relative_phase, save_figure
from fpm_inr.mosaic.mosaic import load_mosaic

HEIGHTS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mosaic", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    mosaic = load_mosaic(given.mosaic)
    z_um = np.linspace(*mosaic.z_range_um, HEIGHTS + 2)[1:-1]
    level = mosaic.level_within(700)
    stack = mosaic.render(z_um, level=level)
    amplitude = stack.amplitude_z_y_x
    grey = robust_contrast(amplitude)
    phases = [relative_phase(one) for one in stack.field_z_y_x]
    limit = float(np.percentile(np.abs(phases), 99))
    figure = Figure(figsize=(7.2, 5.0), layout="constrained")
    axes = figure.subplots(2, HEIGHTS)
    scale = mosaic.upsampling / 2**level
    for column, z in enumerate(z_um):
        top, below = axes[:, column]
        top.imshow(amplitude[column], cmap="gray", vmin=grey.black, vmax=grey.white)
        below.imshow(phases[column], cmap="gray", vmin=-limit, vmax=limit)
        top.set_title(f"z = {z:.0f} µm", fontsize=8)
        for one in (top, below):
            rows, columns = (side.bounds[1:-1] for side in mosaic.plan.sides)
            one.set(xticks=[x * scale for x in columns], yticks=[y * scale for y in rows])
            one.tick_params(labelbottom=False, labelleft=False, color="red", length=4)
    save_figure(figure, given.picture)


if __name__ == "__main__":
    main()
