"""Named solutions on one grid: how they are rendered, kept and refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fpm_inr.acquisition import Optics
from fpm_inr.chromatic_offset import Offset, laid_over, shifted
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.io.export import export
from fpm_inr.io.slide import SlideOptions
from fpm_inr.napari_plugin import field_reader
from fpm_inr.solution import Solution
from fpm_inr.solution_set import SolutionSet, channel_names, load_result, load_set
from tests.viewer.fields import spline_solution

OFFSETS = {"red": Offset(3.0, 0.2, -0.1), "blue": Offset(-2.0, 0.0, 0.3)}


def solution_at(wavelength_um: float, z_range_um: tuple[float, float]) -> Solution:
    torch.manual_seed(round(1e3 * wavelength_um))
    one = spline_solution((40, 52), z_range_um)
    return Solution(one.field, Optics(wavelength_um, 0.25, 0.65), one.instrument, 2, 10.0)


@pytest.fixture(scope="module")
def three() -> SolutionSet:
    return SolutionSet(
        {
            "blue": solution_at(0.47, (-10, 10)),
            "red": solution_at(0.632, (-10, 10)),
            "green": solution_at(0.53, (-10, 10)),
        },
        "green",
        OFFSETS,
        {"red": 12.0, "green": 13.0, "blue": 14.0},
        {"focus_um": 1.0},
    )


def smooth(shape: tuple[int, int], seed: int) -> np.ndarray:
    noise = np.fft.fft2(np.random.default_rng(seed).normal(size=(2, *shape)))
    y, x = (np.fft.fftfreq(side) for side in shape)
    parts = np.fft.ifft2(noise * np.exp(-(np.hypot(y[:, None], x) ** 2) / 0.005)).real
    return (1 + parts[0] + 1j * parts[1]).astype(np.complex64)


def test_they_come_from_long_waves_to_short(three: SolutionSet):
    assert three.names == ("red", "green", "blue")
    assert three.z_range_um == pytest.approx((-8, 7))


def test_every_wavelength_is_taken_at_its_own_focus(three: SolutionSet):
    stacks = three.render([0.0, 2.0])
    for name, offset in {**OFFSETS, "green": Offset()}.items():
        own = three.solutions[name].render([offset.z_um, 2.0 + offset.z_um])
        y, x = offset.y_um / three.pixel_um, offset.x_um / three.pixel_um
        for found, plane in zip(stacks[name].field_z_y_x, own.field_z_y_x, strict=True):
            np.testing.assert_allclose(found, shifted(plane, y, x), atol=2e-5)
    assert stacks["red"].z_um.tolist() == [0, 2]
    with pytest.raises(SettingsError, match="outside the solved range"):
        next(three.fields(7.5))


@given(y=st.floats(-3, 3), x=st.floats(-3, 3), more=st.floats(-0.01, 0.01))
@settings(max_examples=15, deadline=None)
def test_offsets_are_undone(y, x, more):
    """A picture that was moved and magnified is laid over the one it was made from."""
    pixel_um, shape = 0.3, (64, 72)
    offset = Offset(0.0, y * pixel_um, x * pixel_um, 1 + more)
    moved_y, moved_x = ((np.arange(side) - (side - 1) / 2)[:, None] for side in shape)

    def scene(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        wave = 0.4 * np.sin(rows / 5 + columns / 9) + 0.3 * np.cos(columns / 4)
        return ((1 + wave) * np.exp(0.5j * wave)).astype(np.complex64)

    # what the reference shows at r, this one shows at magnification * r + shift
    seen = scene((moved_y - y) / (1 + more), ((moved_x - x) / (1 + more)).T)
    true = scene(moved_y, moved_x.T)
    found = laid_over(seen, pixel_um, offset, shape, pixel_um)
    inside = (slice(8, -8), slice(8, -8))
    limit = 2e-2 if abs(more) * 36 < 0.02 else 5e-3  # an exact shift takes it for periodic
    if abs(more) * 36 >= 0.02:
        assert np.abs(found - true)[inside].max() < limit


def test_another_pixel_is_brought_to_the_grid():
    field = smooth((40, 40), 1)
    fine = laid_over(field, 0.4, Offset(), (80, 80), 0.2)
    np.testing.assert_allclose(fine[8:-8:2, 8:-8:2], field[4:-4, 4:-4], atol=1e-3)


def test_a_folder_holds_all_of_it(three: SolutionSet, tmp_path: Path):
    three.save(tmp_path, precision="full")
    for place in (tmp_path, tmp_path / "colours.json"):
        back = load_result(place)
        assert isinstance(back, SolutionSet)
        assert back.offsets == three.offsets
        assert back.white == three.white
        assert back.record == three.record
        np.testing.assert_array_equal(back.colour(1.0), three.colour(1.0))
    assert isinstance(load_result(tmp_path / "red" / "field.safetensors"), Solution)
    assert isinstance(load_result(tmp_path / "red"), Solution)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c["channels"][0].update(field="../red.safetensors"), "outside its folder"),
        (lambda c: c["channels"][0].update(field="/etc/passwd"), "outside its folder"),
        (lambda c: c["channels"][0].update(field="gone.safetensors"), "is not a file"),
        (lambda c: c["channels"][0].update(white=0), "white"),
        (lambda c: c["channels"][0].update(name="blue"), "names one twice"),
        (lambda c: c["channels"][0]["offset"].update(magnification=3), "magnification"),
        (lambda c: c["channels"][0]["offset"].update(z_um=30), "no height in common"),
        (lambda c: c.update(reference="violet"), "none of"),
        (lambda c: c.update(version=2), "version"),
        (lambda c: c.update(more=1), "more"),
        (lambda c: c.pop("channels"), "channels"),
    ],
)
def test_a_damaged_manifest_ends_in_one_sentence(three: SolutionSet, tmp_path: Path, change, says):
    three.save(tmp_path)
    manifest = tmp_path / "colours.json"
    content = json.loads(manifest.read_text())
    change(content)
    manifest.write_text(json.dumps(content))
    with pytest.raises(DataError, match=says) as told:
        load_set(tmp_path)
    assert str(tmp_path) in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "\udcff", "[" * 10000])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text):
    (tmp_path / "colours.json").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=r"colours\.json"):
        load_set(tmp_path)


def test_a_slide_and_a_stack_of_it(three: SolutionSet, tmp_path: Path):
    import tifffile

    export(three, tmp_path / "slide.ome.tif", z_um=[0.0, 2.0])
    read = tifffile.imread(tmp_path / "slide.ome.tif")
    np.testing.assert_array_equal(read, np.stack([three.colour(0.0), three.colour(2.0)]))
    options = SlideOptions(16)
    export(three, tmp_path / "parts.ome.tif", z_um=[0.0], part="amplitude", slide=options)
    with tifffile.TiffFile(tmp_path / "parts.ome.tif") as tiff:
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    names = [channel["Name"] for channel in pixels["Channel"]]
    assert names == ["red amplitude", "green amplitude", "blue amplitude"]


def test_layers_for_napari(three: SolutionSet, tmp_path: Path):
    pytest.importorskip("dask.array", reason="needs the extra napari")
    three.save(tmp_path / "smear", precision="full")
    manifest = str(tmp_path / "smear" / "colours.json")
    read = field_reader(manifest)
    assert read is not None
    layers = {meta["name"]: (data, meta) for data, meta, _ in read(manifest)}
    colour, meta = layers["smear colour"]
    assert meta["rgb"]
    z_um = meta["translate"][0] + 100 * meta["scale"][0]
    np.testing.assert_array_equal(colour[100].compute(), three.colour(z_um))
    assert {"smear red amplitude", "smear blue phase"} <= set(layers)


@pytest.mark.parametrize("magnification", [1.0, 1.004, 0.997])
def test_sideways_shift_and_magnification_are_found(magnification):
    """Two pictures of one specimen, of which one was moved and magnified."""
    from fpm_inr.colour.chromatic import registered
    from fpm_inr.fields.pixel import PixelField
    from tests.viewer.fields import solution_of

    shape, shift = (160, 192), (1.4, -0.6)
    detail = smooth((220, 260), 5)

    def seen(scale: float, y_px: float, x_px: float) -> Solution:
        from scipy import ndimage

        places = [
            (np.arange(n) - (n - 1) / 2 - move) / scale + (m - 1) / 2
            for n, m, move in zip(shape, detail.shape, (y_px, x_px), strict=True)
        ]
        grid = np.meshgrid(*places, indexing="ij")
        parts = [ndimage.map_coordinates(p, grid, order=5) for p in (detail.real, detail.imag)]
        image = torch.from_numpy((parts[0] + 1j * parts[1]).astype(np.complex64))[None]
        return solution_of(PixelField(image, torch.tensor([0.0])))

    def at(wavelength_um: float, one: Solution) -> Solution:
        optics = Optics(wavelength_um, 0.25, 0.65)
        return Solution(one.field, optics, one.instrument, 2, 10.0)

    solutions = {"green": at(0.53, seen(1, 0, 0)), "red": at(0.63, seen(magnification, *shift))}
    found = registered(solutions, "green", {"green": 0.0, "red": 0.0})
    offset = found.offsets["red"]
    pixel_um = solutions["green"].pixel_um
    assert offset.y_um / pixel_um == pytest.approx(shift[0], abs=0.1)
    assert offset.x_um / pixel_um == pytest.approx(shift[1], abs=0.1)
    assert offset.magnification == pytest.approx(magnification, abs=5e-4)
    assert found.record["offsets"]["red"]["agreement"] > 0.9
    red, green = (found.render(0.0)[name].field_z_y_x[0] for name in ("red", "green"))
    assert np.abs(red - green)[16:-16, 16:-16].mean() < 0.02


def test_names_tell_wavelengths_apart():
    assert channel_names([0.47, 0.632, 0.53]) == ["blue", "red", "green"]
    assert channel_names([0.6, 0.65, 0.53]) == ["600nm", "650nm", "530nm"]


def test_what_cannot_be_joined_is_refused(three: SolutionSet):
    with pytest.raises(DataError, match="make no colour"):
        SolutionSet({"green": three.solutions["green"]}, "green")
    with pytest.raises(DataError, match="none of"):
        three.with_(white={"violet": 1.0})
    with pytest.raises(SettingsError, match="this is one wavelength"):
        export(three.solutions["red"], "never.png", part="colour", z_um=[0.0])
