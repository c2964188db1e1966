"""What is likely wrong with an acquisition, which line to change, and a picture of it."""

from fpm_inr.first_aid.finding import Finding
from fpm_inr.first_aid.look import look_over

__all__ = ["Finding", "look_over"]
