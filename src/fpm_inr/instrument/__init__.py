"""What may be learned of an instrument, one file a parameter, and what no data can fix about it.

Scales and phases that no data can fix are gauges: changes of instrument and object that leave every
frame as it is. Each is pinned by the parameter that would run along it; its file says how.
"""

from fpm_inr.instrument.calibration import Calibration
from fpm_inr.instrument.free import Free, parse_free
from fpm_inr.instrument.parameter import Learned, Learning, Setup
from fpm_inr.instrument.registry import PARAMETERS

__all__ = [
    "PARAMETERS",
    "Calibration",
    "Free",
    "Learned",
    "Learning",
    "Setup",
    "parse_free",
]
