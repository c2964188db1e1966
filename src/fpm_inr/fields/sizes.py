"""Sizes of the package's own fields, bounded, and known without torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from fpm_inr.heights import MOST


class Sizes(BaseModel):
    """Of a field, as its file says."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SplineSizes(Sizes):
    """See `fpm_inr.fields.spline.SplineField`."""

    planes: int = Field(ge=1, le=2048)


class PixelSizes(Sizes):
    """See `fpm_inr.fields.pixel.PixelField`."""

    planes: int = Field(ge=1, le=MOST)


class NeuralSizes(Sizes):
    """See `fpm_inr.fields.neural.NeuralField`."""

    channels: int = Field(32, ge=1, le=1024)
    hidden: int = Field(32, ge=1, le=1024)
    plane_divisor: int = Field(2, ge=1, le=64)
    z_nodes: int = Field(5, ge=1, le=4096)
    layer_norm: bool = False
    shared_features: bool = True
    unit_start: bool = True
    plane_start: float = Field(2e-4, ge=0)


OWN: dict[str, type[Sizes]] = {"spline": SplineSizes, "neural": NeuralSizes, "pixel": PixelSizes}
