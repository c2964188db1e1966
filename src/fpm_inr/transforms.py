"""The one place that calls a Fourier transform of torch.

Transforms here are of the last two axes, `fftfreq` order, NumPy's sign, and torch is never asked
to scale one: what scale there is, is applied here. Torch 2.13 on a CPU scales some of them twice
where it is asked to (pytorch issue 169670). What was found with its MKL 2024.2 and two threads:

- wrong: 2048 x 2048 exactly, single precision, complex or real, a single image (a batch of one
  included), in each direction and with each `norm` that has a scale. The result is 1 / count (or
  its root) times the right one.
- right: the same without a scale; one thread; double precision; `rfft2` and `irfft2`; 2D
  transforms of other sizes, from 64 to 4096 a side, square or not; batches of more images; MKL's
  kernels for AVX2 and AVX-512. So it depends on the processor; `MKL_CBWR=COMPATIBLE` brings the
  faulty kernel about on any.

NumPy and SciPy have transforms of their own (pocketfft), which the simulator, the metrics and what
looks for a start use. They are right at these sizes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def summed(image_y_x: Tensor) -> Tensor:
    """Sum [..., y, x] of images (real or complex) against exp(-2 pi i k x): no scale."""
    return torch.fft.fft2(image_y_x, norm="backward")


def spectrum(image_y_x: Tensor) -> Tensor:
    """Spectrum [..., y, x] of images, scaled so that an image of 1 has a zero frequency of 1."""
    return summed(image_y_x).mul_(1 / (image_y_x.shape[-2] * image_y_x.shape[-1]))


def image(spectrum_y_x: Tensor) -> Tensor:
    """Images [..., y, x] of spectra: the inverse of `spectrum`. It takes no scale."""
    return torch.fft.ifft2(spectrum_y_x, norm="forward")


def lines(spectrum_x: Tensor) -> Tensor:
    """Lines [..., x] of spectra, along the last axis alone, as `image`."""
    return torch.fft.ifft(spectrum_x, norm="forward")


def frequencies(
    side: int,
    pixel: float = 1.0,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Frequencies [side] of a transform's axis, in cycles per unit of the pixel."""
    return torch.fft.fftfreq(side, pixel, dtype=dtype, device=device)


def centred(spectrum_y_x: Tensor) -> Tensor:
    """Move the zero frequency to the middle of the last two axes: for a person's eyes."""
    return torch.fft.fftshift(spectrum_y_x, dim=(-2, -1))
