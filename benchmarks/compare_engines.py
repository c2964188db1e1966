"""Both engines on real data, side by side at five heights, with their per-slice correlation
with the conventional stack.

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
from fpm_inr.reconstruction import data_residual

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("data", type=Path)
parser.add_argument("-o", "--output", type=Path, required=True)
parser.add_argument("--z-range", type=float, nargs=2, required=True)
parser.add_argument("--planes", type=int, default=5)
parser.add_argument("--recipes", default="default,neural")
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
conventional = fpm.reconstruct(
    acquisition, z_range_um=arguments.z_range, engine="conventional", planes=arguments.planes
)
solutions = {
    f"recipe {name}": fpm.reconstruct(acquisition, z_range_um=arguments.z_range, recipe=name)
    for name in arguments.recipes.split(",")
} | {"conventional": conventional}
stacks = {name: one.render(z_um).amplitude_z_y_x for name, one in solutions.items()}
inside = slice(arguments.rim, -arguments.rim)
correlations = {
    name: [
        ncc(stack[n][inside, inside], stacks["conventional"][n][inside, inside])
        for n in range(len(z_um))
    ]
    for name, stack in stacks.items()
}
low, high = np.percentile(np.stack(list(stacks.values())), [0.5, 99.5])
figure = Figure(figsize=(2.6 * len(z_um), 2.8 * len(stacks)), layout="constrained")
axes = figure.subplots(len(stacks), len(z_um))
for row, (name, stack) in zip(axes, stacks.items(), strict=True):
    for n, image in enumerate(stack):
        row[n].imshow(image, cmap="gray", vmin=low, vmax=high)
        row[n].set(xticks=[], yticks=[])
        if name != "conventional":
            row[n].set_title(f"NCC {correlations[name][n]:.3f}", fontsize=9)
    row[0].set_ylabel(name)
for n, z in enumerate(z_um):
    axes[-1][n].set_xlabel(f"z = {z:g} um")
save_figure(figure, arguments.output)
for name, solution in solutions.items():
    residual = data_residual(acquisition, solution, z_um)
    print(f"{name}: {solution.record['solve_seconds']:.1f} s, residual", np.round(residual, 4))
