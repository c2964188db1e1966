"""The imaging side of the microscope: a value that is validated once, at the door."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fpm_inr.errors import DataError


@dataclass(frozen=True)
class Optics:
    """The imaging side of the microscope.

    Parameters
    ----------
    wavelength_um : float
        Vacuum wavelength, in micrometres.
    na : float
        Numerical aperture of the objective.
    pixel_um : float
        Camera pixel divided by magnification: the pixel at the sample, in micrometres.
    medium_index : float
        Refractive index of the medium around the sample (defocus is computed in it).

    Raises
    ------
    DataError
        A value is not finite or positive, looks like another unit, the NA is not below the medium
        index, or the camera does not sample the pupil (pixel above wavelength / (2 NA)).
    """

    wavelength_um: float
    na: float
    pixel_um: float
    medium_index: float = 1.0

    def __post_init__(self) -> None:
        for name in ("wavelength_um", "na", "pixel_um", "medium_index"):
            value = getattr(self, name)
            if not (
                isinstance(value, int | float | np.integer | np.floating)
                and np.isfinite(value)
                and value > 0
            ):
                raise DataError(
                    f"is {value!r}, not a positive number", "give a positive number", field=name
                )
            object.__setattr__(self, name, float(value))
        self._check_wavelength_unit()
        if not 1.0 <= self.medium_index <= 2.5:
            raise DataError(
                f"is {self.medium_index:g}",
                "give a refractive index between 1 and 2.5",
                field="medium_index",
            )
        if self.na >= self.medium_index:
            raise DataError(
                f"is {self.na:g}, not below the medium index {self.medium_index:g}",
                "correct the numerical aperture or the medium index",
                field="na",
            )
        if self.pixel_um > self.wavelength_um / (2 * self.na):
            raise DataError(
                f"is {self.pixel_um:g} um, too coarse for NA {self.na:g} at "
                f"{self.wavelength_um:g} um, which needs at most "
                f"{self.wavelength_um / (2 * self.na):g} um",
                "give the pixel at the sample (camera pixel / magnification) in um",
                field="pixel_um",
            )
        if self.pixel_um < self.wavelength_um / 100:
            raise DataError(
                f"is {self.pixel_um:g} um, under a hundredth of the wavelength",
                "give the pixel at the sample in micrometres",
                field="pixel_um",
            )

    def _check_wavelength_unit(self) -> None:
        value = self.wavelength_um
        if 0.1 <= value <= 2.5:
            return
        for unit, factor in (("nanometres", 1e-3), ("metres", 1e6), ("millimetres", 1e3)):
            if 0.1 <= value * factor <= 2.5:
                raise DataError(
                    f"is {value:g}, which looks like {unit}",
                    f"give micrometres: {value * factor:g}",
                    field="wavelength_um",
                )
        raise DataError(
            f"is {value:g}, outside 0.1 to 2.5 um",
            "give the wavelength in micrometres",
            field="wavelength_um",
        )
