"""This project's HDF5 file gives back what was written, bit for bit."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.errors import DataError, OutputError
from fpm_inr.illumination import LedGeometry
from fpm_inr.io import load
from fpm_inr.io.native import write_acquisition
from tests.io.acquisition_files import plain_acquisition, write_hdf5, write_native

LEDS = 3


@st.composite
def acquisitions(draw: st.DrawFn) -> Acquisition:
    shape = (LEDS, draw(st.integers(8, 14)), draw(st.integers(8, 14)))
    counts = st.floats(0, 2.0**100, width=32)
    frames = draw(hnp.arrays(np.float32, shape, elements=counts, fill=st.just(1.0)))
    frames[0, 0, 0] = 1
    direction = st.floats(-0.6, 0.6)
    na = draw(hnp.arrays(np.float64, (LEDS, 2), elements=direction))
    geometry = None
    if draw(st.booleans()):
        across = draw(hnp.arrays(np.float64, (LEDS, 2), elements=st.floats(-50, 50)))
        away = draw(hnp.arrays(np.float64, (LEDS, 1), elements=st.floats(40, 100)))
        geometry = LedGeometry(
            np.hstack([across, away]), draw(st.floats(0, 2)), draw(st.floats(1.3, 1.8))
        )
    return Acquisition(
        frames,
        Optics(
            draw(st.floats(0.4, 0.7)),
            draw(st.floats(0.05, 0.2)),
            draw(st.floats(0.5, 0.9)),
            draw(st.floats(1.0, 1.6)),
        ),
        Illumination(na, geometry),
        draw(st.none() | st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))),
    )


def assert_same(one: Acquisition, other: Acquisition) -> None:
    assert one.frames_led_y_x.tobytes() == other.frames_led_y_x.tobytes()
    assert one.frames_led_y_x.shape == other.frames_led_y_x.shape
    assert one.optics == other.optics
    assert one.axis_y_x_px == other.axis_y_x_px
    assert np.array_equal(one.illumination.na_led_xy, other.illumination.na_led_xy)
    a, b = one.illumination.geometry, other.illumination.geometry
    assert (a is None) == (b is None)
    if a is not None and b is not None:
        assert np.array_equal(a.position_led_xyz_mm, b.position_led_xyz_mm)
        assert (a.slide_mm, a.slide_index) == (b.slide_mm, b.slide_index)


@settings(max_examples=30, deadline=None)
@given(acquisitions(), st.data())
def test_round_trip_whole_and_in_part(
    tmp_path_factory: pytest.TempPathFactory, acquisition: Acquisition, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("native") / "a.h5"
    write_acquisition(path, acquisition)
    assert_same(load(path), acquisition)
    rows, columns = acquisition.shape_y_x
    height, width = data.draw(st.integers(8, rows)), data.draw(st.integers(8, columns))
    y, x = data.draw(st.integers(0, rows - height)), data.draw(st.integers(0, columns - width))
    window = (y, x, height, width)
    try:
        expected = acquisition.crop(*window)
    except DataError as error:  # a window without light, or from which an LED is out of sight
        with pytest.raises(DataError, match=re.escape(error.problem)):
            load(path, crop=window)
        return
    assert_same(load(path, crop=window), expected)


def test_stored_values_can_be_replaced(tmp_path: Path) -> None:
    read = load(write_native(tmp_path / "a.h5"), wavelength_um=0.6, medium_index=1.5)
    assert (read.optics.wavelength_um, read.optics.medium_index) == (0.6, 1.5)


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    assert load(write_native(tmp_path / "a.anything")).led_count == 5


@pytest.mark.parametrize(
    "name",
    [
        "frames_led_y_x",
        "optics/wavelength_um",
        "optics/na",
        "optics/pixel_um",
        "optics/medium_index",
        "axis_y_x_px",
        "illumination/na_led_xy",
    ],
)
def test_missing_or_wrong_part_is_named(tmp_path: Path, name: str) -> None:
    for value in (None, "text", np.zeros((0, 2)), np.full((2, 2, 2, 2), 0.5), np.complex64(1j)):
        path = write_native(tmp_path / "a.h5")
        with h5py.File(path, "r+") as file:
            del file[name]
            if value is not None:
                file[name] = value
        with pytest.raises(DataError) as raised:
            load(path)
        assert str(raised.value).startswith(f"{path}: {name}: ")


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = write_native(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 4
    with pytest.raises(DataError, match="has version 4"):
        load(path)


def test_damaged_pixels_are_noticed(tmp_path: Path) -> None:
    path = write_native(tmp_path / "a.h5")
    with h5py.File(path) as file:
        place = file["frames_led_y_x"].id.get_chunk_info(2).byte_offset
    damaged = bytearray(path.read_bytes())
    damaged[place + 30] ^= 0x10
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        load(path)


def test_nothing_is_left_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder does not exist"):
        write_acquisition(tmp_path / "no" / "a.h5", plain_acquisition())
    assert list(tmp_path.iterdir()) == []


def test_unknown_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.h5").write_bytes(b"")
    (tmp_path / "text.mat").write_text("not a file of ours " * 20)
    write_hdf5(tmp_path / "other.h5", {"picture": np.ones((8, 8))})
    (tmp_path / "folder").mkdir()
    for name, said in (
        ("empty.h5", "no acquisition of a known format"),
        ("text.mat", "no acquisition of a known format"),
        ("other.h5", "it holds picture"),
        ("folder", "folder without acquisition.yaml"),
        ("nothing.h5", "does not exist"),
    ):
        with pytest.raises(DataError, match=said) as raised:
            load(tmp_path / name)
        assert str(raised.value).startswith(str(tmp_path / name))
