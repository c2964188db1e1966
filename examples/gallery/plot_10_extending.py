"""
An engine of your own
=====================

The forward model is differentiable and knows the microscope; a `Solution` can be saved, rendered,
focused and viewed. What stands between them is yours. Here: plain gradient descent on pixels.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch

import fpm_inr as fpm
from fpm_inr.fields.pixel import PixelField
from fpm_inr.forward import compile_forward, nominal_instrument
from fpm_inr.metrics import compare
from fpm_inr.simulate import Specimen, preset, simulate

# %%
# The engine
# ----------
# Amplitudes are on a scale on which the mean of the bright field is 1. All LEDs are compared in
# every step, and Adam does the rest.


def gradient_descent(acquisition, z_um=0.0, upsampling=2, steps=60, rate=0.05):
    """Solve one plane by automatic differentiation; return a Solution."""
    instrument = nominal_instrument(acquisition)
    model = compile_forward(acquisition, upsampling)
    aperture = model.aperture(instrument.to("cpu"))
    measured = torch.from_numpy(acquisition.amplitude_led_y_x / acquisition.amplitude_scale)
    leds, height = torch.arange(model.led_count), torch.tensor([z_um])

    pixels = torch.zeros(*model.field_shape_y_x, 2)
    pixels[..., 0] = 1
    pixels.requires_grad_()
    optimiser = torch.optim.Adam([pixels], rate)
    history = []
    for step in range(steps):
        optimiser.zero_grad()
        spectrum = model.spectrum(torch.view_as_complex(pixels))[None]
        loss = (model.amplitude(spectrum, height, leds, aperture)[0] - measured).square().mean()
        loss.backward()
        optimiser.step()
        history.append({"step": step + 1.0, "loss": loss.item()})

    image = torch.view_as_complex(pixels.detach())[None]
    return fpm.Solution(
        PixelField(image, height),
        acquisition.optics,
        instrument,
        upsampling,
        acquisition.amplitude_scale,
        record={"engine": "gradient descent", "steps": steps},
        history=history,
    )


# %%
# Try it
# ------
# Everything downstream works: metrics, `fpm_inr.reconstruction.data_residual`,
# `solution.save("field.safetensors")` and then ``fpm-inr view``.

setup = preset("demo")
setup = replace(setup, specimen=Specimen("smear", "thin"), shape_y_x=(64, 64), scan_z_um=())
made = simulate(setup)
solutions = {
    "gradient descent": gradient_descent(made.acquisition),
    "default": fpm.reconstruct(made.acquisition),
}
figure, places = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for axes, (name, solution) in zip(places, solutions.items(), strict=False):
    image = solution.render(0).field_z_y_x[0]
    error = compare(image[8:-8, 8:-8], made.truth.seen_y_x[8:-8, 8:-8]).numbers["relative_l2"]
    axes.imshow(np.abs(image), cmap="gray", vmin=0.3, vmax=1.3)
    axes.set_title(f"{name}: complex error {error:.3f}")
places[2].semilogy([row["loss"] for row in solutions["gradient descent"].history])
places[2].set(title="loss", xlabel="step")
for axes in places[:2]:
    axes.set_axis_off()
