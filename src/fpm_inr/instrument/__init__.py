"""What may be learned of an instrument: one file a parameter."""

from fpm_inr.instrument.parameters import Calibration, Free, Learning, parse_free

__all__ = ["Calibration", "Free", "Learning", "parse_free"]
