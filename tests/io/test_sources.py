"""Several LEDs a frame and LEDs of a size, through acquisition.yaml and this project's HDF5."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.errors import DataError
from fpm_inr.illumination import flat_array, raster_steps
from fpm_inr.io import load
from fpm_inr.io.native import write_acquisition
from fpm_inr.lighting import Die, Lighting

FRAMES = np.random.default_rng(4).integers(5, 200, (4, 12, 9)).astype(np.uint8)
LIT = [0, [1, 5], [4], [2, 3]]
CONTENT: dict[str, Any] = {
    "frames": {"file": "frames.npy"},
    "optics": {"wavelength_um": 0.5, "na": 0.25, "pixel_um": 0.65},
    "leds": {
        "grid": {"rows": 2, "columns": 3, "pitch_mm": 4.0, "distance_mm": 80.0},
        "lit": LIT,
    },
}


def described(folder: Path, **leds: Any) -> Path:
    content = deepcopy(CONTENT)
    content["leds"] |= leds
    (folder / "acquisition.yaml").write_text(yaml.safe_dump(content))
    np.save(folder / "frames.npy", FRAMES)
    return folder


def told(acquisition: Acquisition) -> list[list[tuple[tuple[float, ...], float]]]:
    """Directions and weights of the LEDs of every frame."""
    light = acquisition.illumination
    pairs = light.pairs
    return [
        sorted(
            (tuple(light.na_led_xy[led].round(6)), float(weight))
            for led, weight in zip(
                pairs.led_pair[pairs.frame_pair == frame],
                pairs.weight_pair[pairs.frame_pair == frame],
                strict=True,
            )
        )
        for frame in range(light.frame_count)
    ]


def test_lists_and_weights_are_read(tmp_path: Path) -> None:
    weights = [1, [1, 0.5], 2, [1, 3]]
    read = load(described(tmp_path, lit=LIT, weights=weights, die={"size_mm": 0.3}))
    na = flat_array(raster_steps(2, 3) * 4, 80).na_at().round(6)
    expected = [
        [(tuple(na[0]), 1.0)],
        sorted([(tuple(na[1]), 1.0), (tuple(na[5]), 0.5)]),
        [(tuple(na[4]), 2.0)],
        sorted([(tuple(na[2]), 1.0), (tuple(na[3]), 3.0)]),
    ]
    assert told(read) == expected
    assert read.illumination.die == Die(size_mm=0.3)


def test_leds_that_no_frame_shows_are_no_part(tmp_path: Path) -> None:
    read = load(described(tmp_path, lit=[0, [1, 5], 4, 3]))
    assert (read.frame_count, read.led_count) == (4, 5)
    left_out = load(described(tmp_path, lit=LIT, leave_out=[1]))
    assert (left_out.frame_count, left_out.led_count) == (3, 4)
    # one LED each is what it is without lists
    alone = load(described(tmp_path, lit=[5, 1, 2, 0]))
    assert alone.illumination.lighting is None


def test_frames_of_one_pattern_are_merged(tmp_path: Path) -> None:
    read = load(described(tmp_path, lit=[0, [1, 5], [5, 1], [2, 3]]))
    assert read.frame_count == 3
    expected = FRAMES[1:3].astype(np.float32).mean(axis=0)
    assert read.frames_led_y_x[1] == pytest.approx(expected)
    assert "4 frames of 3 patterns" in read.notes[-1]


@pytest.mark.parametrize(
    ("leds", "said"),
    [
        ({"lit": [0, [1, 6], 4, 2]}, "leds.lit: names LED 6 of 6 for frame 1"),
        ({"lit": [0, [1, -1], 4, 2]}, "leds.lit.1.1: is -1"),
        ({"lit": [0, [], 4, 2]}, "leds.lit.1: is []"),
        ({"lit": [0, [1, 1], 4, 2]}, "names an LED twice for frame 1"),
        ({"lit": [0, 1, 4]}, "holds 3 lists of LEDs for 4 frames"),
        ({"weights": [1, [1, -1], 1, [1, 1]]}, "leds.weights.1.1: is -1"),
        ({"weights": [1, [1], 1, [1, 1]]}, "holds 1 numbers for the 2 LEDs of frame 1"),
        ({"weights": [1, [1, 1]]}, "holds 2 lists for 4 frames"),
        ({"lit": None, "weights": [1, 1, 1, 1]}, "has no lit to weigh"),
        ({"missing": [3]}, "leds.missing: means nothing"),
        ({"die": {"size_mm": 0.3, "size_na": 0.01}}, "leds.die.size_mm: needs size_mm or size_na"),
        ({"die": {"size_mm": 500}}, "leds.die.size_mm: is 500"),
        ({"die": {"width": 1}}, "leds.die.width: is no known key"),
        (
            {"grid": None, "na_x_y": {"values": [[0, 0]] * 6}, "die": {"size_mm": 0.3}},
            "leds.die.size_mm: is in mm, and nothing says how far away",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, leds: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        load(described(tmp_path, **leds))
    assert said in str(caught.value)
    assert "acquisition.yaml" in str(caught.value)


@pytest.mark.parametrize("die", [None, Die(size_na=0.02, shape="round"), Die(size_mm=0.5)])
@pytest.mark.parametrize("several", [False, True])
def test_our_file_gives_back_what_was_written(
    tmp_path: Path, die: Die | None, several: bool
) -> None:
    lighting = Lighting.of([[0], [1, 2], [3]], [[1], [1, 0.25], [2]]) if several else None
    geometry = flat_array(raster_steps(2, 2) * 4, 80)
    light = Illumination(geometry.na_at(), geometry, lighting, die)
    frames = np.random.default_rng(1).random((light.frame_count, 12, 9)).astype(np.float32)
    written = Acquisition(frames, Optics(0.5, 0.25, 0.65), light)
    write_acquisition(tmp_path / "a.h5", written)
    read = load(tmp_path / "a.h5")
    assert told(read) == told(written)
    assert read.illumination.die == die
    with h5py.File(tmp_path / "a.h5") as file:
        # what older programs can read, they may
        assert file.attrs["version"] == (3 if several or die else 1)
    cut = load(tmp_path / "a.h5", crop=(2, 1, 8, 8))
    assert cut.illumination.frame_count == light.frame_count


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("led_pair", [0, 1, 9, 3], "names LED 9 of 4"),
        ("led_pair", [0, 1.5, 2, 3], "not whole"),
        ("weight_pair", [1, 1, -1, 1], "give a positive weight"),
        ("frame_pair", [0, 2, 2, 2], "gives frame 1"),
    ],
)
def test_damaged_lists_are_named(tmp_path: Path, name: str, values: list[float], said: str) -> None:
    light = Illumination(
        flat_array(raster_steps(2, 2) * 4, 80).na_at(),
        lighting=Lighting.of([[0], [1, 2], [3]]),
    )
    path = tmp_path / "a.h5"
    write_acquisition(path, Acquisition(FRAMES[:3], Optics(0.5, 0.25, 0.65), light))
    with h5py.File(path, "r+") as file:
        del file[f"illumination/{name}"]
        file[f"illumination/{name}"] = np.array(values, dtype=np.float64)
    with pytest.raises(DataError, match=said):
        load(path)
