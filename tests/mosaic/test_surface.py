"""Heights above the surface of focus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fpm_inr.calibration.field_file import LEVEL, FieldCalibration, Polynomial
from fpm_inr.calibration.file import write_calibration
from fpm_inr.cli import main
from fpm_inr.errors import SettingsError
from fpm_inr.mosaic.manifest import read_manifest, write_manifest
from fpm_inr.mosaic.mosaic import Mosaic, load_mosaic
from fpm_inr.mosaic.surface import from_focus
from tests.mosaic.repeated import OPTICS, repeated_mosaic

TILTED: Polynomial = (0.5, 2.0, -1.0, 0.5, 0.0, 0.0)


def _mosaic(folder: Path, focus_um: Polynomial = TILTED) -> Mosaic:
    repeated_mosaic(folder, 2, tile_px=64, overlap_px=20, planes=9)
    manifest = read_manifest(folder)
    side = manifest.plan.shape_y_x[0]
    content = FieldCalibration(
        status="accepted",
        na=OPTICS.na,
        wavelength_um=OPTICS.wavelength_um,
        radius_um=side / 2 * OPTICS.pixel_um,
        nominal_na_led_xy=[(0.0, 0.0)],
        moved_na_led_xy=[(0.0, 0.0)],
        gain_led=[1.0],
        log_light=LEVEL,
        focus_um=focus_um,
    )
    write_calibration(folder / "calibration.json", content)
    centre = ((side - 1) / 2, (side - 1) / 2)
    plan = manifest.plan.model_copy(
        update={"calibration": "calibration.json", "axis_y_x_px": centre}
    )
    write_manifest(folder, manifest.model_copy(update={"plan": plan}))
    return load_mosaic(folder)


def test_every_pixel_is_at_its_height_above_the_surface(tmp_path: Path) -> None:
    level = _mosaic(tmp_path / "mosaic")
    follows = from_focus(level)
    # the surface lies from -2 to 4 um
    assert follows.z_range_um == pytest.approx((-10 + 2.0, 10 - 4.0), abs=0.1)
    image = follows.render(1.0).field_z_y_x[0]
    side = image.shape[0]
    contrast = float(np.abs(image).std())
    for y, x in ((3, 5), (side // 2, side - 4), (side - 10, 20), (70, 64)):
        # places of pixels in units of half the field, from its middle
        at_y, at_x = ((n / 2 - (side / 2 - 1) / 2) / (side / 4) for n in (y, x))
        height = 1.0 + TILTED[0] + TILTED[1] * at_x + TILTED[2] * at_y + TILTED[3] * at_x**2
        alone = level.render(height, window=(y, x, 1, 1)).field_z_y_x[0, 0, 0]
        assert abs(image[y, x] - alone) < 0.1 * contrast
        elsewhere = level.render(height + 3, window=(y, x, 1, 1)).field_z_y_x[0, 0, 0]
        assert abs(elsewhere - alone) > 1e-4 * contrast
    part = follows.render(1.0, window=(40, 30, 50, 60)).field_z_y_x[0]
    assert np.allclose(part, image[40:90, 30:90], atol=0.02 * contrast)


def test_what_has_no_surface_or_too_few_heights_is_refused(tmp_path: Path) -> None:
    steep = _mosaic(tmp_path / "steep", (0.0, 12.0, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(SettingsError, match="were solved"):
        from_focus(steep)
    with pytest.raises(SettingsError, match="not looked for"):
        from_focus(load_mosaic(repeated_mosaic(tmp_path / "none", 2, tile_px=64, overlap_px=20)))
    with pytest.raises(SettingsError, match="of a mosaic"):
        from_focus(object())


def test_the_commands_measure_from_it(tmp_path: Path) -> None:
    mosaic = _mosaic(tmp_path / "mosaic")
    image = tmp_path / "image.npy"
    words = [str(mosaic.folder), "--from-focus"]
    for command in (
        ["render", *words, "-o", str(image), "--z", "0"],
        ["render", *words, "-o", str(tmp_path / "a.ome.zarr"), "--z", "0", "--workers", "1"],
        ["focus", *words, "-o", str(tmp_path / "focus"), "--z", "-4:4:2"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code in (0, None)
    told = np.load(image).squeeze()
    expected = from_focus(mosaic).render(0.0).field_z_y_x[0] * np.float32(mosaic.amplitude_scale)
    assert np.allclose(told, expected, atol=1e-3 * np.abs(expected).max())
