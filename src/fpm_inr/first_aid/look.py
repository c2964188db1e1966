"""All that is looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fpm_inr.acquisition import Acquisition
from fpm_inr.first_aid.distance import wrong_distance
from fpm_inr.first_aid.drift import drift
from fpm_inr.first_aid.finding import Finding
from fpm_inr.first_aid.lamps import failed_lamps
from fpm_inr.first_aid.mosaic import bayer_period
from fpm_inr.first_aid.order import other_order
from fpm_inr.first_aid.trigger import slipped_trigger
from fpm_inr.first_aid.vignetting import vignetting

LOOKS: tuple[Callable[[Acquisition], Iterator[Finding]], ...] = (
    bayer_period,
    wrong_distance,
    other_order,
    slipped_trigger,
    failed_lamps,
    drift,
    vignetting,
)


def look_over(acquisition: Acquisition) -> list[Finding]:
    """Look for the usual mistakes; those that explain others come first."""
    found: list[Finding] = []
    for look in LOOKS:
        if found and found[-1].name in ("bayer", "order") and look is slipped_trigger:
            continue  # brightness tells nothing of single frames then
        found += look(acquisition)
    return found
