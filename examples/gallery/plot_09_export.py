"""
Handing results on
==================

A field file renders any height, into any of the usual formats, and into one page that focuses in a
browser.
"""

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tifffile

import fpm_inr as fpm
from fpm_inr.io.export import export
from fpm_inr.simulate import preset, simulate
from fpm_inr.viewer.export import export_page
from fpm_inr.viewer.sources import field_source

solution = fpm.reconstruct(simulate(preset("demo")).acquisition, z_range_um=(-8, 8))
folder = Path(tempfile.mkdtemp())

# %%
# The field itself
# ----------------
# Tensors and JSON: loading it runs no code.

solution.save(folder / "field.safetensors")
again = fpm.load_solution(folder / "field.safetensors")
print(f"{(folder / 'field.safetensors').stat().st_size / 1e3:.0f} kB for", again.z_range_um, "um")

# %%
# Stacks for other programs
# -------------------------
# Metadata carry pixel size and heights. The end of the name says the format.

heights_um = np.arange(-8, 8.1, 1.0)
export(again, folder / "stack.ome.tif", z_um=heights_um)
export(again, folder / "stack.ome.zarr", z_um=heights_um)
export(again, folder / "stack.npy", z_um=heights_um)
with tifffile.TiffFile(folder / "stack.ome.tif") as file:
    print("OME-TIFF", file.series[0].axes, file.series[0].shape)
print("NPY", np.load(folder / "stack.npy").shape, json.loads((folder / "stack.json").read_text()))

# %%
# A page
# ------
# One HTML file with the field in it: opens with a double click, works offline, decodes the field on
# the reader's own graphics card.

size = export_page([field_source(folder / "field.safetensors")], folder / "field.html")
print(f"field.html: {size / 1e3:.0f} kB")

# %%
# A profile through focus
# -----------------------
# Or take arrays and go on by yourself: x against z along a row.

section = solution.render(np.linspace(-8, 8, 65)).amplitude_z_y_x[:, 96, :]
figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
width_um = section.shape[1] * solution.pixel_um
axes.imshow(section, cmap="gray", extent=(0, width_um, -8, 8), origin="lower", aspect="auto")
axes.set(xlabel="x, um", ylabel="z, um")
