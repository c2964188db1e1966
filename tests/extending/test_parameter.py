"""A calibration parameter from outside of the package: every engine, every file, every verb."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.calibration.file import write_calibration
from fpm_inr.cli import main
from fpm_inr.errors import SettingsError
from fpm_inr.forward import Instrument, compile_forward, nominal_instrument
from fpm_inr.instrument import Calibration, parse_free
from fpm_inr.instrument.pupil_map import frame_grid
from fpm_inr.io.native import write_acquisition
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.solution import load_solution
from fpm_inr.solve.progress import StepReport
from tests.installed import EXTENDING, install, install_example
from tests.tiny import tiny_acquisition

FOLDER = EXTENDING / "parameter"
STRENGTH = 0.6


def example() -> ModuleType:
    if "apodisation" not in sys.modules:
        spec = importlib.util.spec_from_file_location("apodisation", FOLDER / "apodisation.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules["apodisation"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["apodisation"]


def dark_edged() -> Acquisition:
    """Frames of a microscope whose pupil gets darker towards its edge."""
    empty = tiny_acquisition()
    free = parse_free({"apodisation": example().Apodisation(init=STRENGTH, learning_rate=0.0)})
    found = Calibration(
        nominal_instrument(empty), free, empty.optics, empty.shape_y_x, height_is_free=False
    ).instrument()
    model = compile_forward(empty, 2)
    generator = torch.Generator().manual_seed(0)
    y, x = (torch.fft.fftfreq(side) for side in model.field_shape_y_x)
    noise = torch.fft.fft2(torch.randn(model.field_shape_y_x, generator=generator))
    part = torch.fft.ifft2(noise * torch.exp(-(y[:, None] ** 2 + x**2) / 0.02)).real
    part = part / part.abs().max()
    with torch.no_grad():
        amplitude = model.amplitude(
            model.spectrum(torch.polar(1 + 0.4 * part, 0.5 * part))[None],
            torch.zeros(1),
            torch.arange(model.led_count),
            model.aperture(found.to("cpu")),
        )[0]
    frames = 900 * amplitude.square().numpy()
    return Acquisition(frames, empty.optics, Illumination(empty.illumination.na_led_xy))


def strength(instrument: Instrument, data: Acquisition) -> float:
    """Slope of the pupil's logarithm against the squared radius."""
    squared = frame_grid(data.optics, data.shape_y_x).square().sum(dim=1).numpy()
    assert instrument.pupil_y_x is not None
    log = instrument.pupil_y_x.abs().log().flatten().numpy()
    inside = squared < 0.95
    return -float(np.polyfit(squared[inside], log[inside], 1)[0])


@pytest.mark.parametrize(
    "how",
    [
        {"steps": 100},
        {"steps": 100, "z_range_um": (-2.0, 2.0)},
        {"recipe": "neural", "steps": 150},
    ],
    ids=["image", "stack", "neural"],
)
def test_it_is_learned_with_every_field_and_kept(how: dict[str, Any], tmp_path: Path) -> None:
    data = dark_edged()
    solved = reconstruct(data, calibrate={"apodisation": example().Apodisation()}, **how)
    assert "calibration_refused" not in solved.record
    assert strength(solved.instrument, data) == pytest.approx(STRENGTH, abs=0.1)
    solved.save(tmp_path / "field.safetensors")
    kept = load_solution(tmp_path / "field.safetensors").instrument
    torch.testing.assert_close(kept.pupil_y_x, solved.instrument.pupil_y_x.to(torch.complex64))


def test_a_plane_finds_it_for_engines_that_learn_nothing(tmp_path: Path) -> None:
    data, path = dark_edged(), tmp_path / "calibration.json"
    result = calibrate(data, free=parse_free({"apodisation": example().Apodisation()}), steps=60)
    assert result.accepted
    write_calibration(path, result.file(data))
    assert json.loads(path.read_text())["free"]["apodisation"]["learning_rate"] == 0.02
    keys: dict[str, Any] = {"engine": "conventional", "passes": 6}
    as_stated, as_found = reconstruct(data, **keys), reconstruct(data, calibration=path, **keys)
    before, after = (data_residual(data, one, [0.0])[0] for one in (as_stated, as_found))
    assert after < 0.25 * before


def test_once_installed_its_name_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError, match="names 'apodisation'; give one or more of gains, "):
        parse_free("gains,apodisation")
    data = dark_edged()
    install_example(monkeypatch, tmp_path / "site", "parameter")
    assert parse_free("apodisation,gains").names == ["gains", "apodisation"]
    with pytest.raises(SettingsError, match=r"calibrate\.apodisation\.strenght: is no setting"):
        parse_free({"apodisation": {"strenght": 1.0}})
    with pytest.raises(SettingsError, match="background, defocus, na, apodisation"):
        parse_free("apodization")
    write_acquisition(tmp_path / "frames.h5", data)
    arguments = [str(tmp_path / "frames.h5"), "-o", str(tmp_path / "out"), "--z", "0"]
    with pytest.raises(SystemExit) as end:
        main(["calibrate", *arguments, "--free", "apodisation", "--steps", "10"])
    assert end.value.code == 0, capsys.readouterr().err


def test_a_package_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = {"fpm_inr.parameters": {"apodisation": "no_such_module:Apodisation"}}
    project = {"name": "fpm-inr-apodisation", "version": "0.1", "entry-points": parameters}
    install(monkeypatch, tmp_path, project)
    with pytest.raises(SettingsError, match="package fpm-inr-apodisation cannot be loaded"):
        parse_free("apodisation")


def test_what_is_not_believed_is_refused() -> None:
    start = {"init": 2.5, "learning_rate": 0.001}
    settings = example().Apodisation(**start)
    solved = reconstruct(dark_edged(), steps=6, calibrate={"apodisation": settings})
    assert "e-folds darker" in solved.record["calibration_refused"]
    assert solved.instrument.pupil_y_x is None


def test_a_solve_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def stop(report: StepReport) -> None:
        if report.step == 5:
            raise KeyboardInterrupt

    data, kept = dark_edged(), tmp_path / "checkpoint.safetensors"
    learned = {"pupil": True, "apodisation": example().Apodisation()}
    keys: dict[str, Any] = {"z_range_um": (-2.0, 2.0), "steps": 12, "calibrate": learned}
    whole = reconstruct(data, **keys)
    part = reconstruct(data, **keys, checkpoint=kept, listen=stop)
    assert part.record["status"] == "interrupted"
    resumed = reconstruct(data, **keys, checkpoint=kept, resume=True)
    assert torch.equal(resumed.instrument.pupil_y_x, whole.instrument.pupil_y_x)
    np.testing.assert_array_equal(resumed.render(0.0).field_z_y_x, whole.render(0.0).field_z_y_x)
