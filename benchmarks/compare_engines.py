"""Both engines on real data, side by side at five heights, with their per-slice correlation.

python benchmarks/compare_engines.py DATA -o picture.png --z-range -60 20 [--crop Y X H W] ...
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import fpm_inr as fpm
from fpm_inr.figures import save_figure
from fpm_inr.metrics import ncc

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("data", type=Path)
parser.add_argument("-o", "--output", type=Path, required=True)
parser.add_argument("--z-range", type=float, nargs=2, required=True)
parser.add_argument("--planes", type=int, default=5)
parser.add_argument("--crop", type=int, nargs=4)
parser.add_argument("--wavelength", type=float)
parser.add_argument("--medium-index", type=float)
parser.add_argument("--rim", type=int, default=16, help="pixels left out of the correlation")
arguments = parser.parse_args()

acquisition = fpm.load(
    arguments.data,
    crop=arguments.crop,
    wavelength_um=arguments.wavelength,
    medium_index=arguments.medium_index,
)
z_um = np.linspace(*arguments.z_range, arguments.planes)
neural = fpm.reconstruct(acquisition, z_range_um=arguments.z_range)
conventional = fpm.reconstruct(
    acquisition, z_range_um=arguments.z_range, engine="conventional", planes=arguments.planes
)
stacks = {
    "neural field": neural.render(z_um).amplitude_z_y_x,
    "conventional": conventional.render(z_um).amplitude_z_y_x,
}
inside = slice(arguments.rim, -arguments.rim)
correlations = [
    ncc(*(stack[n][inside, inside] for stack in stacks.values())) for n in range(len(z_um))
]
low, high = np.percentile(np.stack(list(stacks.values())), [0.5, 99.5])
figure = Figure(figsize=(2.6 * len(z_um), 5.6), layout="constrained")
axes = figure.subplots(2, len(z_um))
for row, (name, stack) in zip(axes, stacks.items(), strict=True):
    for column, image in enumerate(stack):
        row[column].imshow(image, cmap="gray", vmin=low, vmax=high)
        row[column].set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
for column, (z, value) in enumerate(zip(z_um, correlations, strict=True)):
    axes[0][column].set_title(f"z = {z:g} um, NCC {value:.3f}")
save_figure(figure, arguments.output)
for solution in (neural, conventional):
    print(f"{solution.record['engine']}: {solution.record['solve_seconds']:.1f} s")
for z, value in zip(z_um, correlations, strict=True):
    print(f"z = {z:g} um: NCC {value:.4f}")
