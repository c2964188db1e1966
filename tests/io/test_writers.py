"""Writers of rendered stacks, read back by others' readers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import ome_zarr_models.v05 as ome_zarr
import pytest
import tifffile
import zarr
from PIL import Image

from fpm_inr.display import phase_rgb
from fpm_inr.errors import InputError, OutputError, SettingsError
from fpm_inr.io.export import export
from fpm_inr.io.movies import _gif_palette, _packed
from fpm_inr.io.rendering import Rendering, halve
from fpm_inr.solution import ImageStack

SCALE = 3.0


@dataclass
class Analytic:
    """A field that is known at every height."""

    shape_y_x: tuple[int, int] = (33, 47)
    z_range_um: tuple[float, float] = (-20.0, 20.0)
    pixel_um: float = 0.325
    amplitude_scale: float = SCALE
    planes_um: np.ndarray | None = None
    fail_at: int | None = None
    given: int = field(default=0, init=False)

    def truth(self, z: float) -> np.ndarray:
        y, x = np.mgrid[: self.shape_y_x[0], : self.shape_y_x[1]]
        amplitude = 1 + 0.5 * np.sin(x / 5 + z / 10)
        return (amplitude * np.exp(1j * (0.3 * y + z / 4))).astype(np.complex64)

    def slices(self, z_um: np.ndarray) -> Iterator[ImageStack]:
        for z in z_um:
            if self.given == self.fail_at:
                raise KeyboardInterrupt
            self.given += 1
            yield ImageStack(
                self.truth(z)[None], np.array([z]), self.pixel_um, self.amplitude_scale
            )


Z = np.array([-1.5, 0.0, 1.5, 3.0])


def truth(z_um=Z) -> np.ndarray:
    return SCALE * np.stack([Analytic().truth(z) for z in z_um])


def test_npy_is_complex_in_camera_units(tmp_path: Path):
    export(Analytic(), tmp_path / "stack.npy", z_um=Z)
    read = np.load(tmp_path / "stack.npy")
    assert read.dtype == np.complex64
    np.testing.assert_allclose(read, truth(), rtol=1e-6)
    about = json.loads((tmp_path / "stack.json").read_text())
    assert about["z_um"] == Z.tolist()
    assert about["pixel_um"] == 0.325
    assert about["axes"] == ["z", "y", "x"]


@pytest.mark.parametrize(("part", "of"), [("amplitude", np.abs), ("phase", np.angle)])
def test_npy_of_one_part(tmp_path: Path, part, of):
    export(Analytic(), tmp_path / "stack.npy", z_um=Z, part=part)
    np.testing.assert_allclose(np.load(tmp_path / "stack.npy"), of(truth()), atol=1e-5)


def test_npy_of_both_parts(tmp_path: Path):
    export(Analytic(), tmp_path / "stack.npy", z_um=Z, part="both")
    read = np.load(tmp_path / "stack.npy")
    np.testing.assert_allclose(read[:, 0], np.abs(truth()), rtol=1e-5)
    np.testing.assert_allclose(read[:, 1], np.angle(truth()), atol=1e-5)
    assert json.loads((tmp_path / "stack.json").read_text())["axes"] == ["z", "c", "y", "x"]


@pytest.mark.parametrize("suffix", [".ome.tif", ".ome.tiff"])
def test_ome_tiff(tmp_path: Path, suffix):
    path = tmp_path / f"stack{suffix}"
    export(Analytic(), path, z_um=Z)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert not tiff.is_bigtiff
        series = tiff.series[0]
        assert series.axes == "ZCYX"
        read = series.asarray()
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    np.testing.assert_allclose(read[:, 0], np.abs(truth()), rtol=1e-5)
    np.testing.assert_allclose(read[:, 1], np.angle(truth()), atol=1e-5)
    assert pixels["PhysicalSizeX"] == pixels["PhysicalSizeY"] == 0.325
    assert pixels["PhysicalSizeZ"] == 1.5
    assert pixels["PhysicalSizeXUnit"] == pixels["PhysicalSizeZUnit"] == "µm"
    assert [c["Name"] for c in pixels["Channel"]] == ["amplitude", "phase"]
    assert [(p["TheZ"], p["TheC"]) for p in pixels["Plane"]] == [
        (z, c) for z in range(4) for c in range(2)
    ]
    assert [p["PositionZ"] for p in pixels["Plane"][::2]] == Z.tolist()


def test_ome_tiff_gives_a_height_to_every_plane_of_an_uneven_stack(tmp_path: Path):
    export(Analytic(), tmp_path / "s.ome.tif", z_um=[-10, 0, 5.5], part="phase")
    with tifffile.TiffFile(tmp_path / "s.ome.tif") as tiff:
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
        assert "PhysicalSizeZ" not in pixels
        assert [p["PositionZ"] for p in pixels["Plane"]] == [-10, 0, 5.5]


def test_ome_tiff_beyond_4_gib_is_bigtiff(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("fpm_inr.io.ome_tiff.CLASSIC_TIFF_BYTES", 1000)
    export(Analytic(), tmp_path / "s.ome.tif", z_um=Z)
    with tifffile.TiffFile(tmp_path / "s.ome.tif") as tiff:
        assert tiff.is_bigtiff


def test_ome_zarr_is_valid_and_true(tmp_path: Path):
    path = tmp_path / "stack.ome.zarr"
    export(Analytic(), path, z_um=Z)
    group = zarr.open_group(str(path), mode="r")
    model = ome_zarr.Image.from_zarr(group)
    multiscale = model.ome_attributes.multiscales[0]
    assert [(a.name, a.type, a.unit) for a in multiscale.axes] == [
        ("c", "channel", None),
        ("z", "space", "micrometer"),
        ("y", "space", "micrometer"),
        ("x", "space", "micrometer"),
    ]
    scale, translation = multiscale.datasets[0].coordinateTransformations
    assert scale.scale == [1, 1.5, 0.325, 0.325]
    assert translation.translation == [0, -1.5, 0, 0]
    channels = group.attrs["ome"]["omero"]["channels"]
    assert [c["label"] for c in channels] == ["amplitude", "phase"]
    read = group["0"]
    assert read.metadata.dimension_names == ("c", "z", "y", "x")
    np.testing.assert_allclose(read[0], np.abs(truth()), rtol=1e-5)
    np.testing.assert_allclose(read[1], np.angle(truth()), atol=1e-5)
    low, high = channels[0]["window"]["start"], channels[0]["window"]["end"]
    assert np.mean((read[0] >= low) & (read[0] <= high)) > 0.97


def test_ome_zarr_has_coarser_levels_in_the_same_place(tmp_path: Path):
    path = tmp_path / "stack.ome.zarr"
    source = Analytic(shape_y_x=(700, 1301))
    export(source, path, z_um=[0.0])
    group = zarr.open_group(str(path), mode="r")
    ome_zarr.Image.from_zarr(group)
    assert [group[str(n)].shape[2:] for n in range(3)] == [(700, 1301), (350, 650), (175, 325)]
    datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
    assert len(datasets) == 3
    fine, coarse = group["0"][0, 0], group["2"][0, 0]
    np.testing.assert_allclose(
        coarse, fine[:, :1300].reshape(175, 4, 325, 4).mean((1, 3)), rtol=1e-5
    )
    scale, translation = (t for t in datasets[2]["coordinateTransformations"])
    assert scale["scale"][3] == pytest.approx(4 * 0.325)
    # the first coarse pixel is centred between the first four fine ones
    assert translation["translation"][3] == pytest.approx(1.5 * 0.325)


def test_complex_in_ome_formats_is_real_and_imaginary(tmp_path: Path):
    export(Analytic(), tmp_path / "s.ome.zarr", z_um=Z, part="complex")
    read = zarr.open_group(str(tmp_path / "s.ome.zarr"), mode="r")["0"]
    np.testing.assert_allclose(read[0] + 1j * read[1], truth(), rtol=1e-5)


def test_halving_does_not_tear_wrapped_phase():
    field = np.exp(1j * np.array([[np.pi - 0.1, -np.pi + 0.1]] * 2)).astype(np.complex64)
    assert abs(np.angle(halve(field))[0, 0]) == pytest.approx(np.pi, abs=1e-5)
    assert np.abs(halve(field))[0, 0] == pytest.approx(1)


def test_mp4_has_even_frames_and_the_image_in_them(tmp_path: Path):
    path = tmp_path / "focus.mp4"
    export(Analytic(), path, z_um=Z)
    frames = iio.imread(path, plugin="FFMPEG")
    assert len(frames) == 4
    assert frames.shape[1] % 2 == frames.shape[2] % 2 == 0
    assert frames[0, :40].max() > 200  # the caption
    # the panel holds the amplitude, grey, at one contrast for all frames
    rendering = Rendering.of_solution(Analytic(), "both", Z)
    repeat = round(480 / 47)
    for frame, z in zip(frames, Z, strict=True):
        shown = frame[44 + repeat // 2 :: repeat, 5 + repeat // 2 : 475 : repeat].mean(-1)[:33]
        true = rendering.contrasts()[0].grey(np.abs(truth([z])[0])) * 255
        assert np.corrcoef(shown.ravel(), true.ravel())[0, 1] > 0.99


def test_gif_keeps_greys_and_phase_colours(tmp_path: Path):
    export(Analytic(), tmp_path / "f.gif", z_um=Z, part="phase")
    frames = iio.imread(tmp_path / "f.gif")
    assert len(frames) == 4
    repeat = round(480 / 47)
    left = (480 - 47 * repeat) // 2
    shown = frames[1, 44 + repeat // 2 :: repeat, left + repeat // 2 :: repeat, :3][:33, :47]
    true = phase_rgb(np.angle(truth([0.0])[0]))
    assert np.abs(shown.astype(int) - true).max() <= 12


def test_gif_palette_is_near_every_colour_of_a_frame():
    palette, index_of = _gif_palette()
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    assert np.abs(palette[index_of[_packed(grey)]].astype(int) - grey).max() <= 1


def test_png_folder(tmp_path: Path):
    export(Analytic(), tmp_path / "slices", z_um=Z)
    names = sorted(p.name for p in (tmp_path / "slices").iterdir())
    assert names[:2] == ["0_z-1.50um_amplitude.png", "0_z-1.50um_phase.png"]
    assert len(names) == 8
    with Image.open(tmp_path / "slices" / names[0]) as image:
        text, grey = image.text, np.asarray(image)
    assert grey.dtype == np.uint16
    black, white = float(text["black"]), float(text["white"])
    true = np.abs(truth([-1.5])[0])
    np.testing.assert_allclose(
        black + grey / 65535 * (white - black), true.clip(black, white), atol=1e-3
    )
    assert float(text["z_um"]) == -1.5
    phase = iio.imread(tmp_path / "slices" / names[1])
    np.testing.assert_array_equal(phase, phase_rgb(np.angle(truth([-1.5])[0])))


def test_png_names(tmp_path: Path):
    export(Analytic(), tmp_path / "a_{z}.png", z_um=Z, part="amplitude")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a_+0.00.png",
        "a_+1.50.png",
        "a_+3.00.png",
        "a_-1.50.png",
    ]
    export(Analytic(), tmp_path / "one.png", z_um=[2.0], part="phase")
    assert (tmp_path / "one.png").exists()
    with pytest.raises(SettingsError, match=r"put \{z\} into the name"):
        export(Analytic(), tmp_path / "two.png", z_um=Z)


def test_default_heights_span_the_range(tmp_path: Path):
    export(Analytic(), tmp_path / "s.npy")
    z_um = json.loads((tmp_path / "s.json").read_text())["z_um"]
    assert (z_um[0], z_um[-1], len(z_um)) == (-20, 20, 41)


def test_a_stack_is_written_as_it_is(tmp_path: Path):
    stack = ImageStack(truth() / SCALE, Z, 0.325, SCALE)
    export(stack, tmp_path / "s.npy")
    np.testing.assert_allclose(np.load(tmp_path / "s.npy"), truth(), rtol=1e-6)
    with pytest.raises(SettingsError, match="none of the planes"):
        export(stack, tmp_path / "t.npy", z_um=[0.7])


def test_a_conventional_solution_gives_its_planes_only(tmp_path: Path):
    source = Analytic(planes_um=np.array([-5.0, 0.0, 7.0]))
    export(source, tmp_path / "all.npy")
    np.testing.assert_allclose(np.load(tmp_path / "all.npy"), truth([-5, 0, 7]), rtol=1e-6)
    export(source, tmp_path / "one.npy", z_um=[7.0000001])
    assert json.loads((tmp_path / "one.json").read_text())["z_um"] == [7]
    with pytest.raises(
        SettingsError, match=r"3 um is none of the planes that there are \(-5, 0, 7"
    ):
        export(source, tmp_path / "x.npy", z_um=[3.0])


def test_slices_are_counted(tmp_path: Path):
    told = []
    export(Analytic(), tmp_path / "s.npy", z_um=Z, on_slice=lambda *n: told.append(n))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("s.ome.zarr", {"z_um": [25.0]}, "25 um is outside the solved range -20 to 20 um"),
        ("s.ome.zarr", {"z_um": [-10, 0, 5.5]}, "not evenly spaced"),
        ("s.mp4", {"part": "complex"}, "'complex' cannot be written as .mp4"),
        ("s.jpg", {}, "has a suffix that is not written"),
        ("s.tif", {}, "is one image for 41 planes"),
        ("s.bmp", {}, r"use .ome.zarr, .ome.tif"),
        ("s.npy", {"z_um": [np.nan]}, "outside the solved range"),
        ("no/s.npy", {}, "its folder does not exist"),
        ("no/s", {}, "its folder does not exist"),
    ],
)
def test_refusals_leave_nothing(tmp_path: Path, name, options, says):
    with pytest.raises(InputError, match=says):
        export(Analytic(), tmp_path / name, **options)
    assert not any(tmp_path.iterdir())


EVERY = ["s.ome.zarr", "s.ome.tif", "s.npy", "s.mp4", "s.gif", "s_{z}.png", "s"]


@pytest.mark.parametrize("name", EVERY)
def test_an_interruption_leaves_nothing(tmp_path: Path, name):
    with pytest.raises(KeyboardInterrupt):
        export(
            Analytic(fail_at=2 if name in ("s.npy", "s.ome.tif") else 6), tmp_path / name, z_um=Z
        )
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_replaced_unasked(tmp_path: Path, name):
    export(Analytic(), tmp_path / name, z_um=Z[:2])
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    with pytest.raises(OutputError, match="exists already; choose another name or add --overwrite"):
        export(Analytic(), tmp_path / name, z_um=Z[:2])
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    export(Analytic(), tmp_path / name, z_um=Z[:2], overwrite=True)
    assert len(list(tmp_path.rglob("*"))) == len(before)


def test_overwriting_spares_folders_of_others(tmp_path: Path):
    for name in ("raw", "raw.ome.zarr"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "frame_001.png").write_bytes(b"precious")
        with pytest.raises(OutputError, match="holds other things"):
            export(Analytic(), tmp_path / name, z_um=Z, overwrite=True)
        assert (tmp_path / name / "frame_001.png").read_bytes() == b"precious"
    (tmp_path / "s.npy").mkdir()
    with pytest.raises(OutputError, match="is a folder, and a file is to be written"):
        export(Analytic(), tmp_path / "s.npy", z_um=Z, overwrite=True)


def test_a_flat_field_is_written(tmp_path: Path):
    stack = ImageStack(np.ones((2, 16, 16)), np.array([0.0, 1.0]), 0.5)
    for name in EVERY:
        export(stack, tmp_path / name)


def test_a_failing_encoder_is_told(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("fpm_inr.io.movies.H264", ("-c:v", "no-such-codec"))
    with pytest.raises(OutputError, match="the movie encoder stopped"):
        export(Analytic(), tmp_path / "s.mp4", z_um=Z)
    assert not any(tmp_path.iterdir())
