"""Published acquisitions: read from the folder that holds them, or told where to get them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from fpm_inr.errors import DataError, SettingsError
from fpm_inr.io import load
from fpm_inr.published import SETS, load_published

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
HAVE_DATA = pytest.mark.skipif(not DATA.is_dir(), reason=f"real data is not at {DATA}")


@pytest.mark.parametrize("name", SETS)
def test_files_that_are_not_there_are_told_with_address_and_terms(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as error:
        load_published(name, tmp_path)
    said = str(error.value)
    for part in (str(tmp_path), SETS[name].address, SETS[name].terms, SETS[name].files):
        assert part in said
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="algae"):
        load_published("alga", tmp_path)


@HAVE_DATA
@pytest.mark.parametrize(
    ("name", "folder", "example"),
    [("blood-smear", DATA, "bloodsmear_red"), ("usaf", DATA / "usaf", "usaf")],
)
def test_they_are_what_the_examples_describe(name: str, folder: Path, example: str) -> None:
    crop = (32, 32, 16, 16)
    found, described = (
        load_published(name, folder, crop=crop),
        load(ROOT / "examples" / example, crop=crop),
    )
    assert np.array_equal(found.frames_led_y_x, described.frames_led_y_x)
    assert np.array_equal(found.illumination.na_led_xy, described.illumination.na_led_xy)
    assert found.optics == described.optics


@HAVE_DATA
def test_names_of_the_algae_say_their_leds(tmp_path: Path) -> None:
    whole = load(DATA / "algae_field")
    geometry = whole.illumination.geometry
    assert geometry is not None
    # the published names count columns the other way
    steps = np.round(geometry.position_led_xyz_mm[:, :2] / 4).astype(int)
    with h5py.File(DATA / "algae_field" / "frames.h5") as file:
        frames = file["frames"][:, :16, :16]
    for frame, (x, y) in zip(frames, steps, strict=True):
        tifffile.imwrite(tmp_path / f"img_y{17 + y}_x{17 - x}.tif", frame)
    read = load_published("algae", tmp_path)
    assert np.array_equal(read.frames_led_y_x, whole.crop(0, 0, 16, 16).frames_led_y_x)
    assert read.illumination.geometry is not None
    np.testing.assert_allclose(
        read.illumination.geometry.position_led_xyz_mm, geometry.position_led_xyz_mm, atol=1e-9
    )
