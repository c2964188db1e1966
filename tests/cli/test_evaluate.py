"""``fpm-inr evaluate`` on every kind of file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch
from scipy.ndimage import gaussian_filter

from fpm_inr.acquisition import Optics
from fpm_inr.cli import main
from fpm_inr.errors import DataError
from fpm_inr.fields.pixel import PixelField
from fpm_inr.focus import field_at_depth
from fpm_inr.forward import Instrument
from fpm_inr.io.results import load_picture
from fpm_inr.metrics import complex_error
from fpm_inr.simulate import Truth, load_truth, write_truth
from fpm_inr.solution import Solution, load_solution

LOADERS = (load_solution, load_truth)
OPTICS = Optics(wavelength_um=0.5, na=0.25, pixel_um=1.0)
INSTRUMENT = Instrument(
    torch.zeros(1, 2, dtype=torch.float64),
    torch.ones(1, dtype=torch.float64),
    torch.zeros(0, dtype=torch.float64),
)


def smooth(seed: int) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(80, 96)), 1.5)
    return noise / noise.std()


@pytest.fixture(scope="module")
def field() -> np.ndarray:
    return ((1 + 0.1 * smooth(0)) * np.exp(0.4j * smooth(1))).astype(np.complex64)


@pytest.fixture(scope="module")
def solution(field, tmp_path_factory) -> Path:
    planes = torch.from_numpy(np.stack([field**2, field, field**3]))
    path = tmp_path_factory.mktemp("solution") / "field.safetensors"
    place = PixelField(planes, torch.tensor([-5.0, 0.0, 5.0]))
    Solution(place, OPTICS, INSTRUMENT, 2, 7.0).save(path)
    return path


def run(verb: str, *arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([verb, *map(str, arguments)])
    return int(stopped.value.code or 0)


def numbers(capsys, *arguments: object) -> dict:
    assert run("evaluate", *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_solution_against_its_own_field(solution, field, tmp_path, capsys):
    reference = tmp_path / "truth.npy"
    np.save(reference, field * 2j)
    found = numbers(capsys, solution, reference, "--z", 0)
    assert found["compared"] == "complex field"
    assert found["relative_l2"] < 1e-3
    assert found["ncc"] == pytest.approx(1, abs=1e-4)
    assert found["phase_rmse_less_ramp_rad"] < 1e-3
    assert found["frc_resolution_half_bit_um"] == pytest.approx(1.0, rel=0.05)
    assert numbers(capsys, solution, reference, "--z", 5)["relative_l2"] > 0.1
    assert numbers(capsys, solution, reference)["relative_l2"] > 0  # all-in-focus


@pytest.mark.parametrize("name", ["s.npy", "s.ome.tif", "s.ome.zarr"])
@pytest.mark.parametrize("part", ["complex", "both"])
def test_rendered_stacks_are_read_back(solution, field, tmp_path, name, part):
    assert run("render", solution, "-o", tmp_path / name, "--z", "-5:5:5", "--part", part) == 0
    picture = load_picture(tmp_path / name, 0.0)
    assert picture.pixel_um == pytest.approx(0.5)
    np.testing.assert_allclose(picture.image_y_x, 7 * field, rtol=1e-2, atol=1e-2)


def test_pictures(field, tmp_path, capsys):
    amplitude = np.abs(field)
    iio.imwrite(tmp_path / "a.png", np.clip(amplitude * 120, 0, 255).astype(np.uint8))
    tifffile.imwrite(tmp_path / "a.tif", amplitude)
    np.save(tmp_path / "a.npy", field)
    found = numbers(capsys, tmp_path / "a.png", tmp_path / "a.tif")
    assert found["compared"] == "amplitude"
    assert found["relative_l2"] < 0.01
    assert found["ssim"] > 0.98
    assert "frc_resolution_half_bit_px" in found
    assert numbers(capsys, tmp_path / "a.npy", tmp_path / "a.tif")["relative_l2"] < 1e-5


def test_table_and_figure(field, tmp_path, capsys):
    np.save(tmp_path / "a.npy", field)
    np.save(tmp_path / "b.npy", field * np.exp(0.1j * smooth(5)))
    figure = tmp_path / "figure.png"
    assert run("evaluate", tmp_path / "b.npy", tmp_path / "a.npy", "-o", figure) == 0
    said = capsys.readouterr().out
    assert "relative_l2" in said
    assert "phase_rmse_less_ramp_rad" in said
    assert iio.imread(figure).shape[1] > 1000
    assert run("evaluate", tmp_path / "b.npy", tmp_path / "a.npy", "-o", "x.gif") == 2


def test_simulated_truth(tmp_path, capsys):
    made = tmp_path / "made"
    assert run("simulate", "-o", made, "--size", 32, 32, "--scan", -2, 2, 3) == 0
    truth = load_picture(made / "truth.h5")
    assert np.iscomplexobj(truth.image_y_x)
    capsys.readouterr()
    assert numbers(capsys, made / "truth.h5", made / "truth.h5")["relative_l2"] < 1e-9
    scan = load_picture(made / "truth.h5", 0.0)
    assert not np.iscomplexobj(scan.image_y_x)


@pytest.fixture(scope="module")
def targets(tmp_path_factory) -> Path:
    """A small star, a USAF target and a star that is only phase."""
    folder = tmp_path_factory.mktemp("targets")
    for name, more in {
        "siemens": ["--noiseless"],
        "usaf": ["--noiseless"],
        "phase": ["--opacity", 0, "--phase", 1, "--noiseless"],
        "layers": ["--shape", "two-layer", "--depth", 5],
    }.items():
        preset = name if name == "usaf" else "siemens"
        size = ["--size", 64, 64, "--no-scan"]
        assert run("simulate", "-o", folder / name, "--preset", preset, *size, *more) == 0
    return folder


def blurred(folder: Path, sigma_px: float) -> Path:
    """The seen field under a Gaussian blur, moved by (2, -1) pixels and with another factor."""
    seen = load_picture(folder / "truth.h5").image_y_x
    soft = gaussian_filter(seen.real, sigma_px) + 1j * gaussian_filter(seen.imag, sigma_px)
    path = folder / f"blurred{sigma_px}.npy"
    np.save(path, 3j * np.roll(soft, (2, -1), (0, 1)))
    return path


def test_contrast_of_a_siemens_star(targets, capsys):
    truth = targets / "siemens" / "truth.h5"
    found = numbers(capsys, truth, truth)
    contrast = {one["period_um"]: one["contrast"] for one in found["siemens_contrast"]}
    assert all(0.85 < value < 1.1 for period, value in contrast.items() if period > 2)
    assert found["siemens_cutoff_um"] == pytest.approx(1.25, rel=0.05)  # wavelength / NA and a bit
    sigma_px, pixel_um = 1.5, load_picture(truth).pixel_um
    soft = numbers(capsys, blurred(targets / "siemens", sigma_px), truth)
    assert (soft["shift_y_px"], soft["shift_x_px"]) == pytest.approx((-2, 1), abs=0.05)
    period_um = np.array([one["period_um"] for one in soft["siemens_contrast"]])
    seen = np.array([one["contrast"] for one in soft["siemens_contrast"]])
    transfer = np.exp(-2 * (np.pi * sigma_px * pixel_um / period_um) ** 2)
    # the factor is that of the whole field, of whose swing the blur takes a part
    np.testing.assert_allclose(seen / seen[0] * transfer[0], transfer, atol=0.1)
    assert soft["siemens_cutoff_um"] > 1.5 * found["siemens_cutoff_um"]


def test_contrast_of_a_usaf_target(targets, tmp_path, capsys):
    truth = targets / "usaf" / "truth.h5"
    found = numbers(capsys, truth, truth)
    assert "siemens_contrast" not in found
    coarse = found["usaf_contrast"][0]
    assert coarse["upright"] == pytest.approx(1, abs=0.1)
    assert coarse["level"] == pytest.approx(1, abs=0.1)
    pairs = [one["line_pairs_per_mm"] for one in found["usaf_contrast"]]
    assert pairs == sorted(pairs)
    soft = numbers(capsys, blurred(targets / "usaf", 2.0), truth)
    assert float(soft["usaf_finest_resolved"]) < float(found["usaf_finest_resolved"])
    figure = tmp_path / "figure.png"
    assert run("evaluate", truth, truth, "-o", figure) == 0
    said = capsys.readouterr().out
    assert "USAF target" in said
    assert f"usaf_finest_resolved               {found['usaf_finest_resolved']}" in said
    assert iio.imread(figure).shape[1] > 2500


def test_contrast_of_a_phase_target_needs_a_phase(targets, tmp_path, capsys):
    truth = targets / "phase" / "truth.h5"
    found = numbers(capsys, truth, truth)
    assert found["siemens_contrast"][5]["contrast"] == pytest.approx(1, abs=0.1)
    np.save(tmp_path / "amplitude.npy", np.abs(load_picture(truth).image_y_x))
    assert "siemens_contrast" not in numbers(capsys, tmp_path / "amplitude.npy", truth)


def test_layers_have_no_one_target_and_damaged_settings_are_refused(targets, tmp_path, capsys):
    layers = targets / "layers" / "truth.h5"
    assert "siemens_contrast" not in numbers(capsys, layers, layers)
    damaged = tmp_path / "damaged.h5"
    shutil.copy(targets / "siemens" / "truth.h5", damaged)
    with h5py.File(damaged, "a") as file:
        file.attrs["settings"] = json.dumps({"specimen": {"colour": 1}})
    assert run("evaluate", damaged, damaged) == 2
    assert "damaged.h5: settings: are not whole" in capsys.readouterr().err


def test_refusals(solution, field, tmp_path, capsys):
    good = tmp_path / "good.npy"
    np.save(good, field)
    np.save(tmp_path / "small.npy", field[:40])
    np.save(tmp_path / "nan.npy", np.where(np.arange(96) == 3, np.nan, field))
    np.save(tmp_path / "zero.npy", np.zeros_like(field))
    np.save(tmp_path / "stack.npy", np.stack([field, field]))
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "broken.npy").write_bytes(b"nothing")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    (tmp_path / "a.docx").write_bytes(b"")
    iio.imwrite(
        tmp_path / "colour.png",
        np.random.default_rng(0).integers(0, 255, (80, 96, 3), dtype=np.uint8),
    )
    for name, says in {
        "small.npy": "one grid",
        "nan.npy": "not finite",
        "zero.npy": "zero",
        "stack.npy": "--z",
        "object.npy": "array",
        "broken.npy": "array",
        "broken.png": "cannot be read",
        "a.docx": "no known format",
        "colour.png": "colours",
        "missing.npy": "does not exist",
    }.items():
        assert run("evaluate", tmp_path / name, good) == 2, name
        error = capsys.readouterr().err
        assert says in error, name
        assert "Traceback" not in error
    assert run("evaluate", good, tmp_path / "zero.npy") == 2
    assert "zero" in capsys.readouterr().err
    assert run("evaluate", tmp_path / "stack.npy", good, "--z", 1) == 2
    assert "heights" in capsys.readouterr().err
    assert run("evaluate", solution, good, "--z", 50) == 2


def test_pixels_that_differ_are_refused(solution, tmp_path, capsys):
    assert run("render", solution, "-o", tmp_path / "a.ome.tif", "--z", "0") == 0
    assert run("render", solution, "-o", tmp_path / "b.npy", "--z", "0") == 0
    about = json.loads((tmp_path / "b.json").read_text())
    (tmp_path / "b.json").write_text(json.dumps(about | {"pixel_um": 0.7}))
    capsys.readouterr()
    assert run("evaluate", tmp_path / "b.npy", tmp_path / "a.ome.tif") == 2
    assert "0.7 um" in capsys.readouterr().err


@pytest.fixture(scope="module")
def tilted(field, tmp_path_factory) -> tuple[Path, Path]:
    """A solution that is right at each height in one part only, and the truth."""
    folder = tmp_path_factory.mktemp("tilted")
    depth = np.repeat(np.array([-5.0, 0.0, 5.0]), [30, 30, 36])[None].repeat(80, axis=0)
    turns = np.exp([0.8j, 0, -2j])  # slices are known up to a phase of their own
    planes = [np.where(depth == z, field, 1j * field**2) for z in (-5.0, 0.0, 5.0)]
    stack = torch.from_numpy(np.stack(planes) * turns[:, None, None]).to(torch.complex64)
    place = PixelField(stack, torch.tensor([-5.0, 0.0, 5.0]))
    Solution(place, OPTICS, INSTRUMENT, 2, 7.0).save(folder / "field.safetensors")
    write_truth(
        folder / "truth.h5",
        Truth(
            object_sheet_y_x=field[None],
            seen_y_x=field,
            z_sheet_y_x_um=depth[None].astype(np.float32),
            pixel_um=0.5,
            na_led_xy=np.zeros((1, 2)),
            intensity_gain_led=np.ones(1),
            zernike_waves=np.zeros(0),
            pupil_y_x=np.ones((40, 48), np.complex64),
            scan_z_y_x=np.zeros((0, 40, 48), np.float32),
            scan_z_um=np.zeros(0),
            settings={
                "optics": {"na": 0.25, "wavelength_um": 0.5, "pixel_um": 1.0},
                "specimen": {"subject": "smear"},
                "shape_y_x": [40, 48],
            },
        ),
    )
    return folder / "field.safetensors", folder / "truth.h5"


def test_every_pixel_at_its_true_height(tilted, field):
    solution, truth = (load(path) for load, path in zip(LOADERS, tilted, strict=True))
    z_um = solution.planes_um
    tied = field_at_depth(solution.slices, z_um, truth.depth_y_x_um)
    untied = field_at_depth(solution.slices, z_um, truth.depth_y_x_um, tied=False)
    np.testing.assert_allclose(np.abs(tied), np.abs(field), rtol=1e-5)
    assert complex_error(untied, field) > 0.5  # turns of 0.8 and -2 rad between thirds
    assert complex_error(np.abs(untied), np.abs(field)) < 1e-5
    with pytest.raises(DataError, match="one height for every pixel"):
        field_at_depth(solution.slices, z_um, truth.depth_y_x_um[:40])


def test_true_height_on_the_command_line(tilted, tmp_path, capsys):
    solution, truth = tilted
    found = numbers(capsys, solution, truth, "--true-height")
    assert found["amplitude_relative_l2"] < 1e-5
    assert list(found)[5:7] == ["relative_l2", "phase_error_rad"]
    whole = np.sqrt(sum(band["error"] ** 2 for band in found["bands"]))
    assert whole == pytest.approx(found["relative_l2"])
    # the one LED stands on the axis: the cutoff is NA / wavelength, 0.5 per um
    assert found["bands"][-1]["cycles"] == [pytest.approx(0.5 * 0.5 * 80), None]
    assert run("evaluate", solution, truth, "--true-height") == 0
    said = capsys.readouterr().out
    assert said.index("phase_error_rad") < said.index("0.5-2") < said.index("amplitude_relative_l2")
    for wrong in (("--z", 0), ()):
        other = truth if wrong else tmp_path / "a.npy"
        np.save(tmp_path / "a.npy", np.ones((80, 96)))
        assert run("evaluate", solution, other, "--true-height", *wrong) == 2
        assert "true" in capsys.readouterr().err
