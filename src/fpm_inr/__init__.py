"""Fourier ptychographic microscopy: a whole focus stack as one small field.

Public names are loaded on first use, so that importing the package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition as Acquisition
    from fpm_inr.acquisition import Illumination as Illumination
    from fpm_inr.acquisition import Optics as Optics
    from fpm_inr.errors import FpmInrError as FpmInrError
    from fpm_inr.errors import InputError as InputError
    from fpm_inr.illumination import LedGeometry as LedGeometry
    from fpm_inr.io import load as load
    from fpm_inr.reconstruction import reconstruct as reconstruct
    from fpm_inr.solution import ImageStack as ImageStack
    from fpm_inr.solution import Solution as Solution
    from fpm_inr.solution import load_solution as load_solution

__version__ = "0.1.0"

_HOME = {
    "Acquisition": "fpm_inr.acquisition",
    "FpmInrError": "fpm_inr.errors",
    "Illumination": "fpm_inr.sources",
    "ImageStack": "fpm_inr.solution",
    "InputError": "fpm_inr.errors",
    "LedGeometry": "fpm_inr.illumination",
    "Optics": "fpm_inr.microscope",
    "Solution": "fpm_inr.solution",
    "load": "fpm_inr.io",
    "load_solution": "fpm_inr.solution",
    "reconstruct": "fpm_inr.reconstruction",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fpm_inr' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
