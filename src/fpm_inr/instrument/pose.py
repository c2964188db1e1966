"""Moves of an LED array as a whole: shift, rotation, scale and tilt."""

from __future__ import annotations

import torch
from torch import Tensor

# shift along x and y, rotation, scale (pitch over distance), tilt along x and y
POSE = ("shift_x", "shift_y", "rotation", "scale", "tilt_x", "tilt_y")
# beyond, light stands so steep that moves are made in directions, not in slopes
STEEPEST_NA = 0.99


def posed(na_led_xy: Tensor, pose: Tensor, sample_na: float) -> Tensor:
    """Directions [led, 2] after a move of the flat array that they come from.

    Slopes are turned, scaled and foreshortened, then shifted: an array's pitch and its distance are
    one parameter.

    Parameters
    ----------
    na_led_xy : Tensor [led, 2]
    pose : Tensor [6]
        See `POSE`; 1 moves the outermost LED by about one Fourier sample.
    sample_na : float
        A Fourier sample of the frames, in NA.
    """
    largest = max(float(na_led_xy.norm(dim=1).max()), sample_na)
    unit = pose * sample_na
    turn, grow, tilt = unit[2] / largest, (unit[3] / largest).exp(), unit[4:6] / largest**2
    squared = na_led_xy.square().sum(dim=1, keepdim=True)
    is_steep = largest >= STEEPEST_NA
    slope = na_led_xy if is_steep else na_led_xy / (1 - squared).sqrt()
    cosine, sine = torch.cos(turn) * grow, torch.sin(turn) * grow
    x, y = slope[:, 0], slope[:, 1]
    turned = torch.stack([cosine * x - sine * y, sine * x + cosine * y], dim=1)
    moved = turned / (1 + slope @ tilt)[:, None] + unit[:2]
    if is_steep:
        return moved
    return moved / (1 + moved.square().sum(dim=1, keepdim=True)).sqrt()
