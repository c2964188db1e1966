"""What a solve tells while it works, and how it is stopped."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fpm_inr.solution import Solution


@dataclass(frozen=True)
class StepReport:
    """One line of the history.

    Parameters
    ----------
    step : int
        Steps taken so far.
    total : int
    loss : float
    psnr_db : float
        Of the amplitudes of the step's frames, against their brightest pixel.
    z_um : float
    seconds : float
        Since the solve began, interruptions left out.
    """

    step: int
    total: int
    loss: float
    psnr_db: float
    z_um: float
    seconds: float


def uninterrupted(solution: Solution) -> Solution:
    """A solution, for what takes no half of one.

    Raises
    ------
    KeyboardInterrupt
        Its solve was interrupted.
    """
    if solution.record.get("status") == "interrupted":
        raise KeyboardInterrupt
    return solution


class Listener(Protocol):
    """Receives a report after every step; raises KeyboardInterrupt to stop."""

    def __call__(self, report: StepReport) -> None: ...


def psnr_db(peak: float, mse: float) -> float:
    """Peak signal-to-noise ratio in dB; infinite, or not a number, where the error is 0 or none."""
    ratio = peak**2 / mse if mse else math.inf
    return 10 * math.log10(ratio) if ratio else -math.inf


def ignore(report: StepReport) -> None:
    """Listen to nothing."""
