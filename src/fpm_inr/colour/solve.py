"""Several wavelengths of one specimen, solved one by one and joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fpm_inr.acquisition import Acquisition
from fpm_inr.chromatic_offset import Offset
from fpm_inr.colour.chromatic import check_offsets, heights_um, registered
from fpm_inr.colour.white import balanced
from fpm_inr.errors import DataError
from fpm_inr.sampling import default_upsampling
from fpm_inr.solution import Solution
from fpm_inr.solution_set import SolutionSet
from fpm_inr.solve.progress import uninterrupted

REFERENCE_UM = 0.545  # the eye sees best, and lenses are corrected, near here


def common_upsampling(acquisitions: Mapping[str, Acquisition]) -> int:
    """Upsampling with which all wavelengths come out on one grid: what the shortest takes.

    Raises
    ------
    DataError
        Frames differ in size or pixel.
    """
    first_name, first = next(iter(acquisitions.items()))
    for name, one in acquisitions.items():
        if one.shape_y_x != first.shape_y_x:
            raise DataError(
                f"has frames of {one.shape_y_x} and {first_name} of {first.shape_y_x} pixels",
                "give frames of one camera, cropped alike",
                field=name,
            )
        if abs(one.optics.pixel_um / first.optics.pixel_um - 1) > 1e-6:
            raise DataError(
                f"has a pixel of {one.optics.pixel_um:g} um and {first_name} of "
                f"{first.optics.pixel_um:g} um",
                "give frames of one camera and objective; a change of magnification with "
                "wavelength is found from the pictures",
                field=name,
            )
    return max(default_upsampling(one.optics, one.illumination) for one in acquisitions.values())


def reference_of(wavelength_um: Mapping[str, float]) -> str:
    """The wavelength nearest to green, whose grid and heights are those of all."""
    return min(wavelength_um, key=lambda name: abs(wavelength_um[name] - REFERENCE_UM))


def joined(
    solutions: Mapping[str, Solution],
    *,
    height_um: Mapping[str, float] | None = None,
    offsets: dict[str, Offset] | None = None,
    white_window: tuple[int, int, int, int] | None = None,
) -> SolutionSet:
    """Lay wavelengths over each other and balance white.

    Parameters
    ----------
    solutions : mapping of str to Solution
    height_um : mapping of str to float, optional
        Height of the specimen at each wavelength (`fpm_inr.colour.chromatic.heights_um`). Default:
        where each is sharpest, which is less sure.
    offsets : dict of str to Offset, optional
        Against the wavelength nearest to green. Default: found.
    white_window : (y, x, height, width), optional
        Clear background, in pixels of the result. Default: found.

    Raises
    ------
    DataError
        They make no colour, or the window leaves the picture.
    SettingsError
        Offsets name an unknown wavelength.
    """
    wavelengths = {name: one.optics.wavelength_um for name, one in solutions.items()}
    reference = reference_of(wavelengths)
    if offsets is None:
        return balanced(registered(solutions, reference, height_um), white_window)
    check_offsets(offsets, solutions, reference)
    told = {"offsets": "given"}
    return balanced(SolutionSet(solutions, reference, offsets, record=told), white_window)


def reconstruct_with_transfer(
    acquisitions: Mapping[str, Acquisition],
    *,
    z_range_um: Sequence[float] = (0.0, 0.0),
    white_window: tuple[int, int, int, int] | None = None,
    solve: Callable[..., Solution] | None = None,
    keep: Callable[[str, Acquisition, Solution], None] = lambda name, acquisition, solution: None,
    **options: Any,
) -> SolutionSet:
    """Solve the wavelength nearest to green alone; the others take its detail, and the colour of
    their own bright-field frames. Their records, and that of the set, say so.

    Parameters
    ----------
    acquisitions, z_range_um, white_window, solve, options
        As for `reconstruct_colours`.
    keep : callable
        Given name, frames that were looked at, and solution of each wavelength that is not solved.

    Raises
    ------
    DataError, SettingsError, DivergedError, OutputError
        As `reconstruct_colours`; or a wavelength has no bright-field frame.
    """
    from fpm_inr.colour.transfer import frames_that_tell, transferred
    from fpm_inr.reconstruction import reconstruct

    upsampling = common_upsampling(acquisitions)
    if options.get("upsample") is None:
        options = {**options, "upsample": upsampling}
    reference = reference_of({n: one.optics.wavelength_um for n, one in acquisitions.items()})
    ours = acquisitions[reference]
    tell = {n: frames_that_tell(one) for n, one in acquisitions.items() if n != reference}
    if solve is not None:
        solved = solve(reference, ours, z_range_um=tuple(z_range_um), **options)
    else:
        solved = uninterrupted(reconstruct(ours, z_range_um=tuple(z_range_um), **options))
    solutions, told = {reference: solved}, {}
    for name, frames in tell.items():
        one = transferred(frames, ours, solved, reference)
        moved_y, moved_x = (px * ours.optics.pixel_um for px in one.record["moved_y_x_px"])
        told[name] = {"from": reference, "y_um": moved_y, "x_um": moved_x}
        keep(name, frames, one)
        solutions[name] = one
    return balanced(SolutionSet(solutions, reference, record={"transferred": told}), white_window)


def reconstruct_colours(
    acquisitions: Mapping[str, Acquisition],
    *,
    z_range_um: Sequence[float] = (0.0, 0.0),
    height_um: Mapping[str, float] | None = None,
    offsets: dict[str, Offset] | None = None,
    white_window: tuple[int, int, int, int] | None = None,
    solve: Callable[..., Solution] | None = None,
    **options: Any,
) -> SolutionSet:
    """Solve acquisitions of one specimen at several wavelengths for one picture in colour.

    The focus of each wavelength is found first, so that each is solved over its own heights.

    Parameters
    ----------
    acquisitions : mapping of str to Acquisition
        By name; frames of one size.
    z_range_um : (float, float)
        Heights to solve, as the wavelength nearest to green sees them.
    height_um : mapping of str to float, optional
        Height of the specimen at each wavelength, where it is known. Default: found.
    offsets, white_window
        As for `joined`.
    solve : callable, optional
        Called as ``solve(name, acquisition, **options)`` in place of `fpm_inr.reconstruct`.
    options
        Of `fpm_inr.reconstruct`, the same for all.

    Raises
    ------
    DataError, SettingsError, DivergedError, OutputError
        As `fpm_inr.reconstruct` and `joined`.
    """
    from fpm_inr.reconstruction import reconstruct

    upsampling = common_upsampling(acquisitions)
    if options.get("upsample") is None:
        options = {**options, "upsample": upsampling}
    wavelengths = {name: one.optics.wavelength_um for name, one in acquisitions.items()}
    reference = reference_of(wavelengths)
    if offsets is None:
        heights = dict(heights_um(acquisitions) if height_um is None else height_um)
        higher = {name: height - heights[reference] for name, height in heights.items()}
    else:
        check_offsets(offsets, acquisitions, reference)
        heights = None
        higher = {name: offsets.get(name, Offset()).z_um for name in acquisitions}

    def solved(name: str, acquisition: Acquisition) -> Solution:
        own = tuple(z + higher[name] for z in z_range_um)
        if solve is not None:
            return solve(name, acquisition, z_range_um=own, **options)
        return uninterrupted(reconstruct(acquisition, z_range_um=own, **options))

    solutions = {name: solved(name, one) for name, one in acquisitions.items()}
    return joined(solutions, height_um=heights, offsets=offsets, white_window=white_window)
