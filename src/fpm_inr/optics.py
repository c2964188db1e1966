"""Wave optics as pure functions on tensors.

Frequencies are in cycles per um, in `fftfreq` order. FFTs have NumPy's sign.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fpm_inr import transforms


def frequencies_per_um(
    shape_y_x: tuple[int, int],
    pixel_um: float,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """Spatial frequencies of a grid: (column [y, 1], row [1, x]), `fftfreq` order, in 1/um."""
    height, width = shape_y_x
    y = transforms.frequencies(height, pixel_um, dtype=dtype, device=device)
    x = transforms.frequencies(width, pixel_um, dtype=dtype, device=device)
    return y[:, None], x[None, :]


def pupil_disc(radius_per_um: Tensor, cutoff_per_um: float | Tensor, edge_per_um: float) -> Tensor:
    """Transmission of a circular pupil: 1 inside, 0 outside, linear over the edge's width.

    An edge as wide as one Fourier sample stands for the share of that sample that lies inside, and
    makes the pupil differentiable in its position and its radius.

    Parameters
    ----------
    radius_per_um : Tensor
        Distance from the pupil's centre, in 1/um.
    cutoff_per_um : float or Tensor, scalar
        NA / wavelength.
    edge_per_um : float
        Full width of the ramp, in 1/um.
    """
    return ((cutoff_per_um - radius_per_um) / edge_per_um + 0.5).clamp(0.0, 1.0)


def defocus_rate_rad_per_um(
    radius_squared_per_um2: Tensor, wavelength_um: float, medium_index: float
) -> Tensor:
    """Phase per um of defocus, kz - kz(0), in rad/um: `exp(1j * rate * z)` refocuses by z.

    kz = 2 pi sqrt((n / wavelength)^2 - k^2). The part common to all frequencies is left out: it is
    a global phase, which an amplitude does not see, and it would cost precision. Computed as
    -2 pi k^2 / (n/wavelength + sqrt(...)), free of cancellation.
    """
    wave_number = medium_index / wavelength_um
    axial = (wave_number**2 - radius_squared_per_um2).clamp_min(0.0).sqrt()
    return -2 * math.pi * radius_squared_per_um2 / (wave_number + axial)


def propagate(
    field_y_x: Tensor,
    z_um: float,
    *,
    pixel_um: float,
    wavelength_um: float,
    medium_index: float = 1.0,
) -> Tensor:
    """Propagate complex fields [..., y, x] by z through a medium (angular spectrum method).

    Evanescent waves are dropped. The carrier exp(1j * kz(0) * z) is left out.
    """
    shape = (field_y_x.shape[-2], field_y_x.shape[-1])
    real = field_y_x.real.dtype
    ky, kx = frequencies_per_um(shape, pixel_um, dtype=real, device=field_y_x.device)
    squared = ky**2 + kx**2
    travels = squared < (medium_index / wavelength_um) ** 2
    rate = defocus_rate_rad_per_um(squared, wavelength_um, medium_index)
    kernel = torch.polar(travels.to(real), rate * z_um)
    return transforms.image(transforms.spectrum(field_y_x) * kernel)


def curved_wave(shape_y_x: tuple[int, int], bend_rad_per_px2: float, upsampling: int = 1) -> Tensor:
    """Field [y, x] of amplitude 1 whose phase bends about the centre of a frame.

    Parameters
    ----------
    shape_y_x : (int, int)
        Of the frame.
    bend_rad_per_px2 : float
        The phase is this times the squared distance, in pixels of the frame.
    upsampling : int
        Samples a pixel of the frame, along a side.
    """
    along = []
    for side in shape_y_x:
        at_px = torch.arange(side * upsampling, dtype=torch.float64) / upsampling
        at_px -= (side - 1 / upsampling) / 2
        along.append(torch.exp(1j * bend_rad_per_px2 * at_px**2))
    return (along[0][:, None] * along[1]).to(torch.complex64)


def noll_to_nm(mode: int) -> tuple[int, int]:
    """Radial order n and azimuthal order m (negative: sine) of Noll's Zernike index (from 1).

    Noll, J. Opt. Soc. Am. 66, 207 (1976).
    """
    if mode < 1:
        raise ValueError(f"Noll indices start at 1, not {mode}")
    n = 0
    rest = mode - 1
    while rest > n:
        n += 1
        rest -= n
    m = n % 2 + 2 * ((rest + (n + 1) % 2) // 2)
    return n, m if mode % 2 == 0 else -m


def zernike(mode: int, y: Tensor, x: Tensor) -> Tensor:
    """Zernike polynomial of Noll's index at pupil coordinates (1 at the pupil's edge).

    Normalised to unit RMS over the disc (Noll 1976), so that a coefficient in radians is an RMS
    phase. A polynomial in x and y: defined, and differentiable, beyond the edge too.
    """
    n, m = noll_to_nm(mode)
    order = abs(m)
    squared = x**2 + y**2
    radial = torch.zeros_like(squared)
    for k in range((n - order) // 2 + 1):
        coefficient = (-1) ** k * math.factorial(n - k)
        coefficient //= (
            math.factorial(k)
            * math.factorial((n + order) // 2 - k)
            * math.factorial((n - order) // 2 - k)
        )
        radial = radial + coefficient * squared ** ((n - order) // 2 - k)
    # r^m cos(m theta) and r^m sin(m theta) as the real and imaginary part of (x + iy)^m
    cosine, sine = torch.ones_like(squared), torch.zeros_like(squared)
    for _ in range(order):
        cosine, sine = cosine * x - sine * y, cosine * y + sine * x
    norm = math.sqrt(n + 1) if m == 0 else math.sqrt(2 * (n + 1))
    return norm * radial * (cosine if m >= 0 else sine)
