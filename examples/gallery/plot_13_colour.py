"""
A picture in colour
===================

A stained section under red, green and blue LEDs. The lens has another focus for each, and shows
them beside each other; both are found.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tifffile

from fpm_inr.colour.solve import reconstruct_colours
from fpm_inr.io.export import export
from fpm_inr.simulate import simulate
from fpm_inr.simulate.section import section_setups

FOCUS_UM = {"red": 3.0, "green": 0.0, "blue": -2.0}
SHIFT_PX = {"red": (0.7, -0.3), "blue": (-0.4, 0.7)}

setups = section_setups((96, 96), z_um=FOCUS_UM, shift_y_x_px=SHIFT_PX)
acquisitions = {name: simulate(setup).acquisition for name, setup in setups.items()}

# %%
# Solve
# -----
# One call for all. What lies where is found from the frames, and kept with the result.

solutions = reconstruct_colours(acquisitions, z_range_um=(-4, 4))
for name, offset in solutions.offsets.items():
    print(f"{name:6s} focus {offset.z_um:+.2f} um, {offset.y_um:+.3f} um down")

# %%
# Look
# ----
# In colour, without what was found, and by wavelength.

images = {
    "colour": solutions.colour(0.0),
    "without offsets": solutions.with_(offsets={}).colour(0.0),
}
stacks = solutions.render(0.0)
figure, axes = plt.subplots(1, 5, figsize=(15, 3.3), layout="constrained")
shown = {**images, **{name: stack.amplitude_z_y_x[0] for name, stack in stacks.items()}}
for panel, (title, image) in zip(axes, shown.items(), strict=True):
    panel.imshow(image, cmap="gray")
    panel.set(title=title, xticks=[], yticks=[])

# %%
# A slide
# -------
# For QuPath, OMERO, Fiji or napari: tiles with coarser levels, pixel size and heights.

folder = Path(tempfile.mkdtemp())
export(solutions, folder / "slide.ome.tif", z_um=np.array([-1.0, 0.0, 1.0]))
with tifffile.TiffFile(folder / "slide.ome.tif") as file:
    print(file.series[0].axes, file.series[0].shape, file.series[0].dtype)
