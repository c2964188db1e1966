"""Where `fpm_inr.instrument` was before, for scripts that name it."""

from fpm_inr.instrument import Calibration, Free, Learning, parse_free

__all__ = ["Calibration", "Free", "Learning", "parse_free"]
