"""The napari plugin: a valid manifest, and layers that are what `render` gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fpm_inr
from fpm_inr.fields.pixel import PixelField
from fpm_inr.io.export import export
from fpm_inr.io.slide import SlideOptions
from fpm_inr.mosaic.mosaic import Mosaic, load_mosaic
from fpm_inr.napari_plugin import field_reader, solution_layers
from tests.io.slides import Drawn, drawn_slide
from tests.viewer.fields import random_solution, solution_of, spline_solution

dask_array = pytest.importorskip("dask.array", reason="needs the extra napari")


def layers_of(path: Path) -> dict[str, tuple[Any, dict[str, Any]]]:
    read = field_reader(str(path))
    assert read is not None
    return {meta["name"]: (data, meta) for data, meta, kind in read(str(path)) if kind == "image"}


@pytest.mark.parametrize("make", [random_solution, spline_solution])
def test_layers_are_what_render_gives(tmp_path: Path, make: Any) -> None:
    solution = make((30, 44))
    solution.save(tmp_path / "smear.safetensors", precision="full")
    layers = layers_of(tmp_path / "smear.safetensors")
    assert set(layers) == {"smear amplitude", "smear phase"}
    amplitude, meta = layers["smear amplitude"]
    assert amplitude.shape == (201, 30, 44)
    assert amplitude.chunks[0] == (1,) * 201
    for number in (0, 77, 200):
        z_um = meta["translate"][0] + number * meta["scale"][0]
        expected = solution.render(z_um)
        np.testing.assert_allclose(
            amplitude[number].compute(), 10 * expected.amplitude_z_y_x[0], rtol=1e-4, atol=1e-4
        )
        turned = np.exp(1j * layers["smear phase"][0][number].compute())
        np.testing.assert_allclose(turned, np.exp(1j * expected.phase_z_y_x[0]), atol=2e-3)
    assert meta["scale"] == (pytest.approx(0.3), 0.325, 0.325)
    assert meta["units"] == ("um", "um", "um")


def test_nothing_is_rendered_before_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    solution = random_solution((30, 44))
    seen: list[float] = []
    slices = type(solution).slices
    monkeypatch.setattr(
        type(solution), "slices", lambda self, z: (seen.append(float(z[0])), slices(self, z))[1]
    )
    (phase, _, _), (amplitude, _, _) = solution_layers(solution, "x")
    assert len(seen) == 1  # for the contrast
    amplitude[3].compute()
    phase[3].compute()
    assert len(seen) == 2


def test_planes_of_a_conventional_solution() -> None:
    image = torch.polar(1 + torch.rand(3, 16, 20), torch.rand(3, 16, 20))
    solution = solution_of(PixelField(image, torch.tensor([-5.0, 0.0, 5.0])))
    (_, meta, _), (amplitude, _, _) = solution_layers(solution, "x")
    assert meta["scale"][0] == 5
    np.testing.assert_allclose(amplitude.compute(), 10 * image.abs().numpy(), rtol=1e-5)


def test_other_files_are_left_to_others(tmp_path: Path) -> None:
    other = tmp_path / "model.safetensors"
    other.write_bytes(b"something else")
    assert field_reader(str(other)) is None
    assert field_reader([str(tmp_path / "gone.safetensors")]) is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_manifest() -> None:
    npe2 = pytest.importorskip("npe2", reason="needs the extra napari")
    manifest = npe2.PluginManifest.from_file(Path(fpm_inr.__file__).parent / "napari.yaml")
    assert manifest.name == "fpm-inr"
    manifest.validate_imports()
    assert manifest.contributions.readers[0].filename_patterns == [
        "*.safetensors",
        "*colours.json",
    ]
    assert manifest.contributions.sample_data[0].key == "tilted"


def test_in_napari(tmp_path: Path) -> None:
    """What napari itself makes of a field file, and of the stacks that `render` writes."""
    components = pytest.importorskip("napari.components", reason="needs napari")
    npe2 = pytest.importorskip("npe2")
    npe2.PluginManager.instance().discover()
    solution = random_solution((30, 44))
    solution.save(tmp_path / "smear.safetensors", precision="full")
    export(solution, tmp_path / "smear.ome.tif", z_um=np.array([-5.0, 0.0, 5.0]))
    export(solution, tmp_path / "smear.ome.zarr", z_um=np.array([-5.0, 0.0, 5.0]))
    for name, plugin, count in (
        ("smear.safetensors", "fpm-inr", 201),
        ("smear.ome.tif", "napari-tiff", 3),
        ("smear.ome.zarr", "napari-ome-zarr", 3),
    ):
        viewer = components.ViewerModel()
        layers = viewer.open(tmp_path / name, plugin=plugin)
        assert sorted(layer.name.split()[-1] for layer in layers) == ["amplitude", "phase"]
        step_um = 60 / 200 if count == 201 else 5
        for layer in layers:
            assert layer.data.shape == (count, 30, 44)
            assert layer.scale == pytest.approx([step_um, 0.325, 0.325])
            assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
        viewer.dims.set_current_step(0, 1)
        amplitude = next(layer for layer in layers if layer.name.endswith("amplitude"))
        z_um = -20 + step_um if count == 201 else 0.0
        expected = 10 * solution.render(z_um).amplitude_z_y_x[0]
        np.testing.assert_allclose(np.asarray(amplitude.data[1]), expected, rtol=1e-4, atol=1e-4)


def test_slides_in_napari(tmp_path: Path) -> None:
    """Colour slides: levels, pixel size and pixels, as napari's readers see them."""
    components = pytest.importorskip("napari.components", reason="needs napari")
    npe2 = pytest.importorskip("npe2")
    npe2.PluginManager.instance().discover()
    shapes = [(1030, 1501), (515, 750), (257, 375)]
    true = Drawn().read(0, 0, *shapes[0])
    export(drawn_slide(shapes[0]), tmp_path / "slide.ome.tif")
    (layer,) = components.ViewerModel().open(tmp_path / "slide.ome.tif", plugin="napari-tiff")
    assert layer.rgb
    assert [level.shape for level in layer.data] == [(*shape, 3) for shape in shapes]
    assert layer.scale == pytest.approx([0.25, 0.25])
    np.testing.assert_array_equal(np.asarray(layer.data[0]), np.moveaxis(true, 0, -1))
    for version in ("0.4", "0.5"):
        path = tmp_path / f"{version}.ome.zarr"
        export(drawn_slide(shapes[0]), path, slide=SlideOptions(ome_zarr=version))
        layers = components.ViewerModel().open(path, plugin="napari-ome-zarr")
        assert [one.name.split()[-1] for one in layers] == ["red", "green", "blue"]
        for one, colour in zip(layers, true, strict=True):
            assert [level.shape[-2:] for level in one.data] == shapes
            assert one.scale[-2:] == pytest.approx([0.25, 0.25])
            np.testing.assert_array_equal(np.squeeze(np.asarray(one.data[0])), colour)


def test_a_mosaic_is_shown_by_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels that napari chooses from; what is looked at is rendered, and no more."""
    from tests.mosaic.repeated import repeated_mosaic

    folder = repeated_mosaic(tmp_path / "field", 4, tile_px=96, overlap_px=32, planes=5)
    mosaic = load_mosaic(folder)
    seen: list[tuple[int, int, int, int]] = []
    stack = Mosaic._stack
    monkeypatch.setattr(
        Mosaic, "_stack", lambda self, z, window, level: (seen.append(window),
                                                          stack(self, z, window, level))[1]
    )  # fmt: skip
    layers = layers_of(folder)
    amplitude = layers["field amplitude"][0]
    shapes = [mosaic.level_shape_y_x(level) for level in range(mosaic.levels)]
    assert [level.shape for level in amplitude] == [(201, *shape) for shape in shapes]
    assert len(shapes) > 1
    seen.clear()
    part = np.asarray(amplitude[0][90, :300, 520:])
    assert seen == [(0, 512, 512, shapes[0][1] - 512)]
    meta = layers["field amplitude"][1]
    z_um = meta["translate"][0] + 90 * meta["scale"][0]
    for level, found in ((0, part), (1, np.asarray(amplitude[1][90]))):
        (true,) = mosaic.render(z_um, level=level).field_z_y_x
        expected = np.abs(true) * mosaic.amplitude_scale
        expected = expected[:300, 520:] if level == 0 else expected
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
