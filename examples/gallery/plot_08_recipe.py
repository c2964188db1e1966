"""
A recipe of your own
====================

How a field is fitted is data: a few numbers in YAML, or a value in Python.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import fpm_inr as fpm
from fpm_inr.engines.recipe import load_recipe, make_recipe
from fpm_inr.metrics import compare
from fpm_inr.simulate import Specimen, preset, simulate

setup = preset("demo")
setup = replace(setup, specimen=Specimen("smear", "thin"), scan_z_um=())
made = simulate(setup)

# %%
# What a recipe holds
# -------------------

default = load_recipe("default").model_dump(exclude_none=True)
for part, settings in default.items():
    print(part, settings)

# %%
# Change it
# ---------
# ``fpm-inr reconstruct --recipe my.yaml`` reads the same keys from a file. An unknown key is
# refused and named.

try:
    make_recipe({**default, "ordre": {}})
except fpm.InputError as error:
    print(error)

# %%
# The default against a hasty one (a tenth of the steps) and the paper's network, fitted quickly.

inner = np.s_[8:-8, 8:-8]
full = fpm.reconstruct(made.acquisition)
solutions = {
    "default": full,
    "a tenth of the steps": fpm.reconstruct(
        made.acquisition, steps=max(1, len(full.history) // 10)
    ),
    "neural, 60 steps": fpm.reconstruct(made.acquisition, recipe="neural", steps=60),
}
figure, places = plt.subplots(1, 3, figsize=(10, 3.8), layout="constrained")
for axes, (name, solution) in zip(places, solutions.items(), strict=True):
    field_y_x = solution.render(0).field_z_y_x[0]
    error = compare(field_y_x[inner], made.truth.seen_y_x[inner]).numbers["relative_l2"]
    print(f"{name:22s} {len(solution.history):4d} steps, complex error {error:.3f}")
    axes.imshow(np.abs(field_y_x), cmap="gray", vmin=0.3, vmax=1.3)
    axes.set_title(f"{name}: {error:.3f}")
    axes.set_axis_off()

# %%
# The course of the loss
# ----------------------

figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, solution in solutions.items():
    axes.semilogy([row["loss"] for row in solution.history], label=name)
axes.set(xlabel="step", ylabel="loss")
axes.legend()
