"""What may be learned of an instrument, and what no data can fix about it.

The gauges (changes of instrument and object that leave every frame as it is) and how they are
pinned:

- global phase: no piston (Noll 1) in the pupil.
- pupil tip and tilt only move every frame: no Noll 2 and 3.
- defocus of the pupil is the height of the sample: no Noll 4 where the height is free, that is
  where a range is solved or the defocus is learned.
- total gain against the object's amplitude: over the bright-field LEDs, whose amplitude sets the
  scale of the frames, the mean logarithm of the gains is 0.
- a shift of all LED directions is a ramp of the object's phase: solves begin with a clear object,
  whose light lies at zero frequency and stays there.
- a free pupil map against the Zernike modes: it holds none of those that are learned, and none of
  the gauges.
- array pitch against distance: only their ratio is learned.
- per-LED shifts against the pose: the shifts are drawn towards 0.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor, nn

from fpm_inr.acquisition import Optics
from fpm_inr.beams import Shares
from fpm_inr.calibration.pose import POSE, posed
from fpm_inr.calibration.pupil_map import PupilNodes, frame_grid
from fpm_inr.errors import SettingsError
from fpm_inr.forward import Instrument

FIRST_MODE = 4  # those below are gauges
MAP_WEIGHT = 0.01  # of the penalty on a free pupil map, relative to the misfit
MOST_NA_CHANGE = 0.3  # of the stated NA: how far the pupil's radius may be learned
SHIFT_WEIGHT = 0.005  # of the penalty on per-LED shifts, relative to the misfit


class Learning(BaseModel):
    """Where a parameter starts, how fast it is learned, and in which share of the steps.

    A rate of 0 fixes it at its start.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

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


class Gains(Learning):
    """Amplitude gains; each visit moves a gain by this share of its least-squares value."""

    learning_rate: float = Field(0.3, ge=0, le=1)
    init: list[Annotated[float, Field(gt=0)]] | None = Field(None, description="amplitude by LED")


class Pupil(Learning):
    """Pupil phase; rates in radians."""

    learning_rate: float = Field(0.02, ge=0)
    init: list[float] | None = Field(
        None, max_length=36, description="rad RMS by Noll index from 1"
    )
    modes: int = Field(11, ge=4, le=36, description="highest Noll index")


class PupilMap(Learning):
    """Phase and amplitude of the pupil on free nodes; rates in radians (and e-folds)."""

    learning_rate: float = Field(0.03, ge=0)
    start: float = Field(0.1, ge=0, lt=1)
    nodes: int = Field(17, ge=5, le=65, description="along a side of the pupil's square")
    spread_rad: float = Field(0.5, gt=0, description="expected size")


class Pose(Learning):
    """Shift, rotation, scale and tilt of the LED array; rates in Fourier samples."""

    learning_rate: float = Field(0.2, ge=0)
    init: list[float] | None = Field(
        None,
        min_length=len(POSE),
        max_length=len(POSE),
        description="shift x, y, rotation, scale, tilt x, y: Fourier samples at the outermost LED",
    )


class Shifts(Learning):
    """A shift of every LED; rates in Fourier samples."""

    learning_rate: float = Field(0.05, ge=0)
    start: float = Field(0.2, ge=0, lt=1)
    spread_samples: float = Field(0.5, gt=0, description="expected size, in Fourier samples")


class Background(Learning):
    """Light of every frame that did not pass the sample coherently, as an amplitude."""

    learning_rate: float = Field(1e-2, ge=0)
    init: Annotated[float, Field(ge=0)] | None = Field(
        None, description="share of the mean bright-field intensity"
    )


class Defocus(Learning):
    """An offset of all heights; rates in units of lambda / NA^2."""

    learning_rate: float = Field(0.02, ge=0)
    init: float | None = Field(None, description="um")


class Na(Learning):
    """Radius of the pupil; rates in Fourier samples."""

    learning_rate: float = Field(0.1, ge=0)
    init: Annotated[float, Field(gt=0)] | None = Field(None, description="numerical aperture")


class Free(BaseModel):
    """What is learned; everything else stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gains: Gains | None = None
    pupil: Pupil | None = None
    pupil_map: PupilMap | None = None
    pose: Pose | None = None
    shifts: Shifts | None = None
    background: Background | None = None
    defocus: Defocus | None = None
    na: Na | None = None

    @property
    def names(self) -> list[str]:
        return [name for name in type(self).model_fields if getattr(self, name) is not None]

    @property
    def moves_leds(self) -> bool:
        return self.pose is not None or self.shifts is not None

    @property
    def widens_pupil(self) -> bool:
        return self.na is not None and self.na.learning_rate > 0


def parse_free(content: Any, *, field: str = "calibrate") -> Free:
    """Read what to learn from names ("gains,pupil") or from a mapping of names to settings.

    Raises
    ------
    SettingsError
        A name or a setting is unknown or out of range.
    """
    names = list(Free.model_fields)
    if isinstance(content, Free):
        return content
    if isinstance(content, str):
        content = [name.strip() for name in content.split(",") if name.strip()]
    if isinstance(content, list | tuple):
        content = dict.fromkeys(content, True)
    if not isinstance(content, dict) or not content:
        raise SettingsError(
            f"is {content!r}", f"give one or more of {', '.join(names)}", field=field
        )
    unknown = [name for name in content if name not in names]
    if unknown:
        raise SettingsError(
            f"names {unknown[0]!r}", f"give one or more of {', '.join(names)}", field=field
        )
    try:
        return Free.model_validate(
            {n: _settings_of(v) for n, v in content.items() if v is not False}
        )
    except ValidationError as error:
        first = error.errors()[0]
        is_unknown = first["type"] == "extra_forbidden"
        raise SettingsError(
            "is no setting" if is_unknown else first["msg"][:1].lower() + first["msg"][1:],
            "correct it or leave it out",
            field=".".join((field, *(str(part) for part in first["loc"]))),
        ) from error


def _settings_of(value: Any) -> Any:
    """True or nothing stands for the defaults; a number or a list fixes a parameter there."""
    if value is None or value is True:
        return {}
    if isinstance(value, int | float | list | tuple):
        return {"init": value, "learning_rate": 0.0}
    return value


class Calibration(nn.Module):
    """An instrument with some of its parameters free.

    Parameters
    ----------
    instrument : Instrument
        Where to start, and what the fixed parameters keep.
    free : Free
    optics : Optics
    shape_y_x : (int, int)
        Of a frame: sets the Fourier sample, in which LED moves are counted.
    height_is_free : bool
        Whether a range of heights is solved, so that the pupil's defocus is no parameter.
    frame_count : int, optional
        Number of frames, each with a background. Default: that of the LEDs.

    Raises
    ------
    SettingsError
        There is not one start of the gains for every LED.
    """

    start_na_led_xy: Tensor
    log_gain_led: Tensor
    gauge_led: Tensor
    start_zernike_rad: Tensor
    zernike_mask: Tensor
    start_pupil_y_x: Tensor | None
    start_background_led: Tensor | None
    start_defocus_um: Tensor | None
    start_na: Tensor | None

    def __init__(
        self,
        instrument: Instrument,
        free: Free,
        optics: Optics,
        shape_y_x: tuple[int, int],
        *,
        height_is_free: bool,
        frame_count: int | None = None,
    ) -> None:
        super().__init__()
        self.free = free
        start = _begun(instrument.to("cpu"), free, frame_count)
        na = start.na_led_xy
        leds = len(na)
        self.sample_na = optics.wavelength_um / (optics.pixel_um * math.sqrt(math.prod(shape_y_x)))
        self.depth_of_field_um = optics.wavelength_um / optics.na**2
        self.register_buffer("start_na_led_xy", na)
        self.register_buffer("log_gain_led", start.gain_led.log())
        self.register_buffer("start_na", start.na)
        bright = (na.norm(dim=1) < start.na_of(optics)).to(na)
        bright = bright if bright.any() else torch.ones_like(bright)
        self.register_buffer("gauge_led", bright / bright.sum())
        modes = len(start.zernike_rad)
        if free.pupil is not None:
            modes = max(modes, free.pupil.modes)
        zernike = torch.zeros(modes)
        zernike[: len(start.zernike_rad)] = start.zernike_rad
        mask = torch.zeros(modes)
        if free.pupil is not None:
            mask[FIRST_MODE - 1 : free.pupil.modes] = 1
            if height_is_free or free.defocus is not None:
                mask[3:4] = 0
        self.register_buffer("start_zernike_rad", zernike)
        self.register_buffer("zernike_mask", mask)
        self.register_buffer("start_pupil_y_x", start.pupil_y_x)
        self.register_buffer("start_background_led", start.background_led)
        self.register_buffer("start_defocus_um", start.defocus_um)
        # each counts in its own unit, so that one step of Adam has a known size
        if free.pupil is not None:
            self.zernike_step = nn.Parameter(torch.zeros(modes))
        self.shape_y_x = shape_y_x
        if free.pupil_map is not None:
            pinned = [1, 2, 3] + [4] * (height_is_free or free.defocus is not None)
            if free.pupil is not None:
                pinned = list(range(1, free.pupil.modes + 1))
            self.pupil_map = PupilNodes(free.pupil_map.nodes, pinned, frame_grid(optics, shape_y_x))
        if free.pose is not None:
            self.pose = nn.Parameter(torch.tensor(free.pose.init or [0.0] * len(POSE)))
        if free.shifts is not None:
            self.shift_led_xy = nn.Parameter(torch.zeros(leds, 2))
        if free.background is not None:
            base = start.background_led
            # away from 0, where a square has no slope; a fixed one may be 0
            least = 0.02 if free.background.learning_rate > 0 else 0.0
            frames = leds if frame_count is None else frame_count
            root = (torch.zeros(frames) if base is None else base.sqrt()).clamp_min(least)
            self.background_root_led = nn.Parameter(root)
        if free.defocus is not None:
            self.defocus = nn.Parameter(torch.zeros(()))
        self.stated_na = optics.na
        if free.na is not None:
            self.na_step = nn.Parameter(torch.zeros(()))

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups for an optimiser, each with its `learning`."""
        owners = {
            "pupil": "zernike_step",
            "pose": "pose",
            "shifts": "shift_led_xy",
            "background": "background_root_led",
            "defocus": "defocus",
            "na": "na_step",
        }
        groups = [
            {"params": [getattr(self, owner)], "learning": getattr(self.free, name)}
            for name, owner in owners.items()
            if getattr(self.free, name) is not None
        ]
        if self.free.pupil_map is not None:
            groups.append({"params": [self.pupil_map.values], "learning": self.free.pupil_map})
        return groups

    def hold(self, done: float) -> None:
        """Let only what is learned after this share of the steps have a gradient."""
        for group in self.groups():
            for value in group["params"]:
                value.requires_grad_(group["learning"].rate(done, 1.0) > 0)

    def instrument(self) -> Instrument:
        """Return the instrument as believed now, differentiable in the free parameters."""
        zernike = self.start_zernike_rad
        if self.free.pupil is not None:
            zernike = zernike + self.zernike_step * self.zernike_mask
        background, defocus = self.start_background_led, self.start_defocus_um
        if self.free.background is not None:
            background = self.background_root_led**2
        if self.free.defocus is not None:
            moved = self.defocus * self.depth_of_field_um
            defocus = moved if defocus is None else defocus + moved
        pupil = self.start_pupil_y_x
        if self.free.pupil_map is not None:
            factor = self.pupil_map.on_frame(self.shape_y_x)
            pupil = factor if pupil is None else pupil * factor
        return Instrument(
            self.na_led_xy(),
            (self.log_gain_led - self.log_gain_led @ self.gauge_led).exp(),
            zernike,
            pupil,
            background,
            defocus,
            self.na(),
        )

    def na(self) -> Tensor | None:
        """Radius of the pupil as believed now; None: as stated."""
        if self.free.na is None:
            return self.start_na
        base = self.stated_na if self.start_na is None else self.start_na
        most = MOST_NA_CHANGE * self.stated_na
        moved = base + self.na_step * self.sample_na
        return moved.clamp(self.stated_na - most, self.stated_na + most)

    def is_at_its_bound(self) -> bool:
        """Whether the pupil's radius went as far as it may."""
        na = self.na()
        if na is None or not self.free.widens_pupil:
            return False
        return abs(float(na.detach()) / self.stated_na - 1) > 0.999 * MOST_NA_CHANGE

    @property
    def largest_na(self) -> float:
        """How wide the pupil may become; 0 where its radius stays."""
        return (1 + MOST_NA_CHANGE) * self.stated_na if self.free.widens_pupil else 0.0

    def na_led_xy(self) -> Tensor:
        """LED directions [led, 2] as believed now."""
        na = self.start_na_led_xy
        if self.free.pose is not None:
            na = posed(na, self.pose, self.sample_na)
        if self.free.shifts is not None:
            na = na + self.shift_led_xy * self.sample_na
        return na

    @property
    def has_penalty(self) -> bool:
        return self.free.shifts is not None or self.free.pupil_map is not None

    def penalty(self) -> Tensor:
        """What draws per-LED shifts and the pupil map to 0: weighted mean squares over spreads.

        Relative to the misfit, which it multiplies.
        """
        total = self.start_na_led_xy.new_zeros(())
        shifts, pupil_map = self.free.shifts, self.free.pupil_map
        if shifts is not None:
            size = (self.shift_led_xy / shifts.spread_samples).square().mean()
            total = total + SHIFT_WEIGHT * size
        if pupil_map is not None:
            total = total + MAP_WEIGHT * self.pupil_map.roughness() / pupil_map.spread_rad**2
        return total

    @torch.no_grad()
    def observe(
        self,
        leds: Tensor,
        predicted: Tensor,
        measured: Tensor,
        done: float,
        shares: Shares | None = None,
    ) -> None:
        """Move the gains of these LEDs towards the best fit of prediction [led, y, x] to data.

        The least-squares gain has a closed form, which spares the gains a learning rate. `shares`
        tells what is whose, where frames are not one beam each.
        """
        if self.free.gains is None:
            return
        rate = self.free.gains.rate(done, 1.0)
        if rate == 0.0:
            return
        if shares is None:
            p, m = predicted.flatten(1), measured.flatten(1)
            fit = torch.linalg.vecdot(p, m) / torch.linalg.vecdot(p, p)
        else:
            leds, fit = shares.fits(predicted, measured)
        # a frame without light or without prediction says nothing; one visit moves by 2 at most
        step = fit.nan_to_num(1.0).clamp(0.5, 2.0).log()
        self.log_gain_led[leds] += rate * step


def _begun(instrument: Instrument, free: Free, frame_count: int | None) -> Instrument:
    """The instrument with the starts that the settings give."""
    leds, like = len(instrument.gain_led), instrument.gain_led
    changes: dict[str, Tensor] = {}
    if free.gains is not None and free.gains.init is not None:
        if len(free.gains.init) != leds:
            raise SettingsError(
                f"has {len(free.gains.init)} values for {leds} LEDs",
                "give one per LED",
                field="calibrate.gains.init",
            )
        changes["gain_led"] = like.new_tensor(free.gains.init)
    if free.pupil is not None and free.pupil.init is not None:
        changes["zernike_rad"] = like.new_tensor(free.pupil.init)
    if free.background is not None and free.background.init is not None:
        changes["background_led"] = like.new_full((frame_count or leds,), free.background.init)
    if free.defocus is not None and free.defocus.init is not None:
        changes["defocus_um"] = like.new_tensor(free.defocus.init)
    if free.na is not None and free.na.init is not None:
        changes["na"] = like.new_tensor(free.na.init)
    return replace(instrument, **changes)
