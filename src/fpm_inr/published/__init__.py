"""Published acquisitions: where they lie, under which terms, and how they were taken.

Nothing is downloaded. Get a set's files yourself, then read the folder that you put them in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fpm_inr.errors import DataError, SettingsError

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition

_PAPER = "https://doi.org/10.22002/7aer7-qhf77"
_PAPER_TERMS = "the terms that the record states"


@dataclass(frozen=True)
class PublishedSet:
    """A published acquisition that this package can read.

    Parameters
    ----------
    what : str
        Specimen and microscope.
    address : str
        Where its authors keep it.
    files : str
        The files that are read, as named there.
    terms : str
        What is said there about its use.
    description : str
        Name of the description in this package; "" where the files tell their own optics.
    wavelength_um : float, optional
        Vacuum wavelength, where neither files nor description tell it.
    """

    what: str
    address: str
    files: str
    terms: str
    description: str = ""
    wavelength_um: float | None = None


SETS: dict[str, PublishedSet] = {
    "blood-smear": PublishedSet(
        "human blood smear, 2x, NA 0.1, 225 LEDs, far out of focus (sharp near -55 um)",
        "https://github.com/SmartImagingLabUConn/Fourier-Ptychography, folder Data",
        "bloodsmear_red.mat",
        "the repository's, GPL 2.0, written for its code",
        "blood-smear.yaml",
    ),
    "usaf": PublishedSet(
        "USAF 1951 resolution target, 4x, NA 0.1, 121 LEDs, in focus; SCILab's",
        "https://github.com/MLWise112358/DFNN_for_FPM_reconstruction, folder data/test_11x11_USAF",
        "*.tif",
        "none stated there",
        "usaf.yaml",
    ),
    "algae": PublishedSet(
        "spiral algae in water, 10x, NA 0.25, 89 LEDs, thick (sharp from -60 to -18 um)",
        "https://github.com/bu-cisl/High-Throughput-IDT, folder LED_algae_data",
        "img_y*_x*.tif",
        "the repository's, GPL 3.0",
        "algae.yaml",
    ),
    "paper-siemens": PublishedSet(
        "the FPM-INR paper's Siemens star", _PAPER, "Siemens_r.mat", _PAPER_TERMS, "", 0.632
    ),
    "paper-sheep-blood": PublishedSet(
        "the FPM-INR paper's sheep blood", _PAPER, "sheepblood_r.mat", _PAPER_TERMS, "", 0.632
    ),
    "paper-lung": PublishedSet(
        "the FPM-INR paper's lung cancer section", _PAPER, "WU1005_r.mat", _PAPER_TERMS, "", 0.632
    ),
    "paper-tilted-smear": PublishedSet(
        "the FPM-INR paper's tilted blood smear (sharp between -20 and 20 um)",
        _PAPER,
        "BloodSmearTilt_r.mat",
        _PAPER_TERMS,
        "",
        0.632,
    ),
}


def load_published(
    name: str, folder: str | Path, *, crop: tuple[int, int, int, int] | None = None
) -> Acquisition:
    """Read a published acquisition from the folder that holds its files, as they were named.

    Parameters
    ----------
    name : str
        One of `SETS`.
    folder : str or Path
        Where you put the files. Nothing is written there.
    crop : (y, x, height, width), optional
        Window to read, in pixels.

    Raises
    ------
    SettingsError
        The name is unknown.
    DataError
        The files are not there (the sentence says where to get them, and under which terms), or
        cannot be used.
    """
    if name not in SETS:
        raise SettingsError(
            f"is {name!r}, which is unknown", f"give one of {', '.join(SETS)}", field="name"
        )
    one, folder = SETS[name], Path(folder)
    found = sorted(folder.glob(one.files))
    if not found:
        raise DataError(
            f"holds no {one.files} ({one.what})",
            f"get it from {one.address}; its terms: {one.terms}",
            source=folder,
        )
    if one.description:
        from fpm_inr.io import described
        from fpm_inr.io.readers import Asked

        description = Path(__file__).with_name(one.description)
        return described.read(description, Asked(crop), folder=folder)
    from fpm_inr.io import load

    return load(found[0], wavelength_um=one.wavelength_um, crop=crop)
