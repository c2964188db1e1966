"""What a parameter of the instrument is: its settings, and what is learned of it.

A parameter is one file with two classes. The first, a `Learning`, is what a user may say of it in
YAML; the second, a `Learned`, holds its tensors and changes an `Instrument` by them. Whatever an
instrument can say, every engine and every file understands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from fpm_inr.acquisition import Optics
from fpm_inr.beams import Shares
from fpm_inr.forward import Instrument
from fpm_inr.sampling import fourier_sample_na


@dataclass(frozen=True)
class Setup:
    """What a parameter is told of the microscope and of the solve.

    Parameters
    ----------
    optics : Optics
    shape_y_x : (int, int)
        Of a frame.
    height_is_free : bool
        Whether a height is solved or learned, so that the pupil's defocus is a gauge.
    zernike_modes : frozenset of int
        Noll indices that are learned as numbers of their own.
    """

    optics: Optics
    shape_y_x: tuple[int, int]
    height_is_free: bool
    zernike_modes: frozenset[int]

    @property
    def sample_na(self) -> float:
        """A Fourier sample of the frames, in NA: the unit in which LEDs and pupil move."""
        return fourier_sample_na(self.optics, self.shape_y_x)


class Learning(BaseModel):
    """Where a parameter starts, how fast it is learned, and in which share of the steps.

    A rate of 0 fixes it at its start. A parameter says more of itself by overriding what follows
    the fields.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    moves_leds: ClassVar[bool] = False
    """Whether it changes the directions of LEDs."""
    aberrates: ClassVar[bool] = False
    """Whether it changes the Zernike coefficients."""
    frees_height: ClassVar[bool] = False
    """Whether it stands for the height of the sample."""
    small_steps: ClassVar[Mapping[str, float]] = {}
    """Settings for what is nearly right from the start."""

    learning_rate: float = Field(ge=0)
    start: float = Field(0.0, ge=0, lt=1)
    stop: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Learning:
        if self.start >= self.stop:
            raise ValueError("start must lie before stop")
        return self

    def rate(self, done: float, envelope: float) -> float:
        """Learning rate after this share of the steps."""
        return self.learning_rate * envelope if self.start <= done < self.stop else 0.0

    @property
    def widens_pupil(self) -> bool:
        """Whether it learns the pupil's radius."""
        return False

    @property
    def zernike_modes(self) -> range:
        """Noll indices that it learns as numbers of their own."""
        return range(0)

    @property
    def seeks_far(self) -> bool:
        """Whether its way may be long, so that a plane is calibrated before a joint solve."""
        return False

    @property
    def places_leds(self) -> bool:
        """Whether it says where the LEDs are, which is believed."""
        return False

    def refined(self) -> Self:
        """The same in small steps, where no others are given."""
        given = self.model_fields_set
        if self.learning_rate == 0:
            return self
        rest = {key: value for key, value in self.small_steps.items() if key not in given}
        return self.model_copy(update=rest)

    def begun(self, instrument: Instrument) -> Instrument:
        """The instrument with the start that the settings give.

        Raises
        ------
        SettingsError
            The start does not suit the instrument.
        """
        return instrument

    def learned(self, begun: Instrument, setup: Setup) -> Learned:
        """What is to be learned from this start, which `begun` has made of all settings."""
        raise NotImplementedError


class Learned(nn.Module):
    """What is learned of one parameter; its parameters (`torch.nn`) are moved by gradients.

    Each counts in a unit of its own, so that a step of Adam has a known size.
    """

    has_penalty: ClassVar[bool] = False

    def __init__(self, settings: Learning) -> None:
        super().__init__()
        self.settings = settings

    def group(self) -> dict[str, Any]:
        """The parameters for an optimiser, with the `learning` that they follow."""
        return {"params": list(self.parameters()), "learning": self.settings}

    def changed(self, instrument: Instrument) -> Instrument:
        """The instrument with what is believed now; differentiable. Gauges are pinned here."""
        raise NotImplementedError

    def penalty(self) -> Tensor:
        """What draws it to where nothing is known, relative to the misfit."""
        raise NotImplementedError

    def observe(
        self,
        leds: Tensor,
        predicted: Tensor,
        measured: Tensor,
        done: float,
        shares: Shares | None = None,
    ) -> None:
        """Learn from amplitudes [frame, y, x] without a gradient, after this share of the steps.

        `leds` are numbers of frames, and of their LEDs; `shares` tells what is whose where frames
        are not one LED each.
        """

    @property
    def largest_na(self) -> float:
        """How wide it may make the pupil; 0 where it does not."""
        return 0.0

    def objection(self, found: Instrument) -> str:
        """Why what has been found is not believed; nothing where it is."""
        return ""
