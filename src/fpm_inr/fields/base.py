"""What a field is: a complex image at every height, and how it is stored.

A kind of field is one file; a field of another package joins by the entry points
`fpm_inr.fields` (kind -> class). A field knows nothing of optics.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fpm_inr.registry import Registry

if TYPE_CHECKING:
    from pydantic import BaseModel

# Of stored values: 8 bits where a field knows how; 16; or 32.
PRECISIONS = ("compact", "half", "full")


class Field(nn.Module, ABC):
    """A complex image as a function of z.

    A kind that recipes can name is made by ``Kind(shape_y_x, z_range_um, **settings)``, as a clear
    object or nearly so; Adam improves its parameters (`fpm_inr.engines.adam`).

    Attributes
    ----------
    kind : str
        Its name in a field file.
    sizes : type of pydantic model
        Bounds of `settings`: a file may come from anywhere.
    """

    kind: ClassVar[str]
    sizes: ClassVar[type[BaseModel]]

    shape_y_x: tuple[int, int]
    z_range_um: tuple[float, float]

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What is needed, with shape, z range and tensors, to make an equal field: plain JSON."""

    @abstractmethod
    def forward(self, z_um: float) -> Tensor:
        """Complex image [y, x] at a height in um."""

    @property
    def planes_um(self) -> NDArray[np.float64] | None:
        """Heights of its images, where it has some at fixed heights only. None: any height."""
        return None

    def height_of(self, z_um: float) -> float:
        """Height of the image that is rendered for a wanted height."""
        return z_um

    def to_tensors(self, precision: str) -> dict[str, Tensor]:
        """Tensors by name, as they are stored; `precision` is one of `PRECISIONS`."""
        return {
            name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()
        }

    @classmethod
    @abstractmethod
    def from_tensors(
        cls,
        shape_y_x: tuple[int, int],
        z_range_um: tuple[float, float],
        settings: dict[str, Any],
        tensors: dict[str, Tensor],
    ) -> Self:
        """The field of `to_tensors`.

        Raises
        ------
        KeyError, TypeError, ValueError, RuntimeError
            The tensors do not fit each other, or the settings.
        """


FIELDS: Registry[type[Field]] = Registry(
    "fpm_inr.fields",
    "kind",
    {
        "spline": "fpm_inr.fields.spline:SplineField",
        "neural": "fpm_inr.fields.neural:NeuralField",
        "pixel": "fpm_inr.fields.pixel:PixelField",
    },
)
