"""Steps for slow phase, which hardly any LED sees.

A frequency q and its mirror -q are one measurement: light of an LED that passes both shows the
amplitude of a weak object there, and nothing of its phase. Only LEDs near the pupil's edge (or
defocus) tell them apart, so the curvature of the loss along slow phase is far smaller than along
everything else. It is known all the same. With G_l the pupil as LED l sees it, turned by its direct
light, the frame's amplitude at q is (G_l(q) e_q + conj(G_l(-q) e_-q)) / 2 (the weak-object transfer
of Streibl, J. Opt. Soc. Am. A 2, 121 (1985)), and the loss' second derivative in the pair
(e_q, conj e_-q) the matrix

    1/2 sum_l  [ |G_l(q)|^2               conj(G_l(q) G_l(-q)) ]
               [ G_l(q) G_l(-q)           |G_l(-q)|^2          ]

whose inverse makes the step. Three things make it hold for real objects:

- A strong object is weak about itself: its changes are taken relative to its own slow phase, so
  that what is blind is a change of phase of *this* object.
- Where frames are not explained yet, phase has a curvature of its own, up to the relative misfit;
  the damping of the pair is in proportion to it, as Levenberg and Marquardt's.
- Slow structure has a long depth of field: over a height of n / (2 pi q NA) it hardly changes, so
  that a step at one height is one at its neighbours too.
"""

from __future__ import annotations

import math

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from fpm_inr import transforms
from fpm_inr.acquisition import Optics
from fpm_inr.device import taken
from fpm_inr.fields.spline import SplineField
from fpm_inr.forward import ForwardModel

# Direct light that is weaker (mean bright-field amplitude: 1) leaves a dark-field frame.
DIRECT = 0.3
# Of the relative misfit (an amplitude), and the least: the damping of a pair, over its curvature.
MISFIT_DAMPING, LEAST_DAMPING = 0.5, 0.01
# A step's kernel along z in units of the height over which a frequency changes by a radian.
DEPTH_SHARE = 0.5


class SlowBand:
    """The frequencies of a field that may pass the pupil together with their mirrors.

    Parameters
    ----------
    model : ForwardModel
    field : SplineField
        On the model's device.
    """

    def __init__(self, model: ForwardModel, field: SplineField) -> None:
        samples = field.sample_yx
        assert isinstance(samples, Tensor)
        y, x = samples.long()
        radius_y, radius_x = (
            model.optics.na / model.optics.wavelength_um * side * model.optics.pixel_um
            for side in model.shape_y_x
        )
        height, width = field.shape_y_x
        place = torch.full((height * width,), -1, dtype=torch.int64, device=model.device)
        place[field.flat_index()] = torch.arange(len(y), device=model.device)
        mirror = place[(-y % height) * width + -x % width]
        inside = ((y / radius_y).square() + (x / radius_x).square() <= 1) & (mirror >= 0)
        # one of every pair, then their mirrors in the same order, then the zero frequency
        one = (inside & ((y > 0) | ((y == 0) & (x > 0)))).nonzero().flatten()
        zero = (inside & (y == 0) & (x == 0)).nonzero().flatten()
        self.at = torch.cat([one, mirror[one], zero])
        self._pairs, self._has_zero = len(one), len(zero) > 0
        number = torch.arange(len(self.at), device=model.device)
        first, second = number[: len(one)], number[len(one) : 2 * len(one)]
        self.mirror = torch.cat([second, first, number[2 * len(one) :]])
        self._slot = torch.full((len(y),), len(self.at), dtype=torch.int64, device=model.device)
        self._slot[self.at] = number
        # wide enough for a product with a slow phase
        height, width = (next_fast_len(math.ceil(3 * one)) for one in (radius_y, radius_x))
        self._shape = (height, width)
        self._place = (y[self.at] % height) * width + x[self.at] % width
        self.depth_um = _depth_um(model.optics, y[self.at] / radius_y, x[self.at] / radius_x)

    def pair(self, transfer_led_k: Tensor, index_led_k: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over LEDs of |G(q)|^2 and of conj(G(q) G(-q)), both [q].

        Parameters
        ----------
        transfer_led_k : Tensor [led, sample], complex
            What the light of each LED meets in the pupil.
        index_led_k : Tensor [led, sample]
            Which of the field's frequencies that is.
        """
        seen = transfer_led_k.new_zeros(len(transfer_led_k), len(self.at) + 1)
        seen.scatter_(1, taken(self._slot, index_led_k), transfer_led_k)
        parts = torch.view_as_real(seen[:, :-1]).flatten(1)
        own = (parts * parts).sum(dim=0).view(-1, 2).sum(dim=1)
        if not self._has_zero:
            return own, seen.new_zeros(len(own))
        zero = 2 * self._pairs
        direct = seen[:, zero].conj()
        size = direct.abs()
        turn = torch.where(size > DIRECT, direct / size.clamp_min(DIRECT), 0).square()
        both = turn @ (seen[:, : self._pairs] * seen[:, self._pairs : zero])
        of_zero = turn @ seen[:, zero].square()
        return own, torch.cat([both, both, of_zero[None]]).conj()

    def step(
        self,
        samples: Tensor,
        wrong: Tensor,
        pair: tuple[Tensor, Tensor],
        floor: Tensor,
        misfit: Tensor,
    ) -> Tensor:
        """Newton's step [q] of these frequencies, damped.

        Parameters
        ----------
        samples, wrong : Tensor [sample], complex
            The field's spectrum, and the loss' gradient in it.
        pair : (Tensor [q], Tensor [q])
            See `pair`.
        floor : Tensor [q]
            Damping for lack of LEDs.
        misfit : Tensor, scalar
            Squared error of the frames over their squared amplitude.
        """
        own, cross = pair
        phase = self._image(samples[self.at])
        phase = phase / phase.abs().clamp_min(1e-3)
        pull = self._samples(self._image(wrong[self.at]) * phase.conj())
        damped = own * (1 + LEAST_DAMPING + MISFIT_DAMPING * misfit.sqrt()) + floor
        of_mirror = damped[self.mirror]
        determinant = damped * of_mirror - torch.view_as_real(cross).square().sum(dim=1)
        change = of_mirror * pull - cross * pull[self.mirror].conj()
        return self._samples(self._image(change / determinant) * phase)

    def _image(self, samples: Tensor) -> Tensor:
        grid = samples.new_zeros(math.prod(self._shape))
        return transforms.image(grid.index_copy_(0, self._place, samples).view(self._shape))

    def _samples(self, image: Tensor) -> Tensor:
        return transforms.spectrum(image).flatten()[self._place]


def _depth_um(optics: Optics, y_over_na: Tensor, x_over_na: Tensor) -> Tensor:
    """Height [q] over which light of the pupil's edge, scattered by q, turns by a radian."""
    na = (y_over_na.square() + x_over_na.square()).sqrt() * optics.na
    return optics.medium_index * optics.wavelength_um / (2 * math.pi * optics.na * na)


class Coupling:
    """Which frequencies of a stack move at neighbouring heights too, and how far.

    Parameters
    ----------
    band : SlowBand
    field : SplineField
    """

    def __init__(self, band: SlowBand, field: SplineField) -> None:
        planes = len(field.spectrum)
        low, high = field.z_range_um
        knot_um = (high - low) / max(planes - 3, 1)
        wide = (
            band.depth_um * DEPTH_SHARE > knot_um
            if planes > 1
            else torch.zeros_like(band.depth_um, dtype=torch.bool)
        )
        self.at = band.at[wide]
        self._depth_um = band.depth_um[wide] * DEPTH_SHARE
        number = torch.arange(planes, device=self.at.device)
        self._z_um = low + (number - 1) * knot_um

    def shares(self, z_um: float, first: int, weights: Tensor) -> Tensor:
        """How much [plane, q] of a step at a height each plane takes.

        `first` and `weights` are the planes that make up the field there (`SplineField.weights`).
        """
        away = (self._z_um - z_um)[:, None] / self._depth_um
        kernel = away.square_().mul_(-0.5).exp_()
        return kernel / (weights @ kernel[first : first + len(weights)])
