"""The benchmark: what it keeps, refuses and measures."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from fpm_inr.benchmark import BenchmarkSettings, Method, run_benchmark
from fpm_inr.benchmark import run as running
from fpm_inr.benchmark.judge import against_truth
from fpm_inr.benchmark.settings import SPECIMENS
from fpm_inr.benchmark.table import COLUMNS, table
from fpm_inr.errors import DataError, OutputError, SettingsError
from fpm_inr.simulate import load_truth

TINY_RECIPES = {
    "inr": "order: {kind: sweep, steps: 4, leds_per_step: 8, learning_rate: 0.02}",
    "conventional": "passes: 2",
}


def settings(**changes: object) -> BenchmarkSettings:
    return BenchmarkSettings(
        **{"sizes": (32,), "slices": 5, "engines": ("inr",), "specimens": ("smear",)} | changes
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, BenchmarkSettings]:
    root = tmp_path_factory.mktemp("benchmark")
    quick = root / "quick.yaml"
    quick.write_text(TINY_RECIPES["inr"])
    asked = settings(recipes=(str(quick),), repeats=2)
    run_benchmark(root / "out", asked)
    return root / "out", asked


def test_finished_cases_are_not_run_again(finished, tmp_path, monkeypatch):
    out, asked = finished
    copy = shutil.copytree(out, tmp_path / "copy")
    (copy / "smear-32" / "inr-quick.1.json").unlink()  # as if interrupted in the second repeat
    ran = []

    def fake(job, report):
        ran.append(job["engine"])
        return json.loads((out / "smear-32" / "inr-quick.1.json").read_text())

    monkeypatch.setattr(running, "in_own_process", fake)
    again = run_benchmark(copy, asked)
    assert ran == ["inr"]
    before = json.loads((out / "benchmark.json").read_text())
    assert again["cases"] == before["cases"]


def test_what_is_measured(finished):
    out, _ = finished
    outcome = json.loads((out / "benchmark.json").read_text())
    (case,) = outcome["cases"]
    assert len(case["all_solve_seconds"]) == 2
    assert case["stack_bytes"] == 5 * 64 * 64 * 8
    # the record in the file holds seconds, whose digits differ between the two repeats
    size = (out / "smear-32" / "inr-quick.safetensors").stat().st_size
    assert case["file_bytes"] == pytest.approx(size, abs=100)
    assert 1e7 < case["peak_memory_bytes"] < 4e9
    assert len(case["data_residual"]) >= 5
    text = table(outcome)
    assert "| 32 | smear | inr-quick |" in text
    assert "NCC" not in text  # nothing to correlate with: the column is left out


def test_the_peak_of_memory_is_the_solves_own(finished):
    """A large parent does not show in the child's peak."""
    out, asked = finished
    ballast = np.ones(150_000_000)  # 1.2 GB
    job = {
        "acquisition": str(out / "smear-32" / "acquisition.h5"),
        "field": str(out.parent / "other.safetensors"),
        "engine": "inr",
        "recipe": asked.recipes[0],
        "slices": 3,
        "z_range_um": [-12, 12],
        "device": "cpu",
        "seed": 0,
    }
    steps = []
    result = running.in_own_process(job, lambda step, total: steps.append((step, total)))
    assert result["peak_memory_bytes"] < ballast.nbytes
    assert steps[-1] == (4, 4)
    with pytest.raises(SettingsError, match="recipe"):
        running.in_own_process(job | {"recipe": "none"}, lambda *_: None)
    with pytest.raises(DataError, match="code 1"):
        running.in_own_process({"engine": "inr"}, lambda *_: None)


def is_solve(process: psutil.Process) -> bool:
    try:
        return "fpm_inr.benchmark.solve" in process.cmdline()
    except psutil.Error:  # it has just ended
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_benchmark_that_is_stopped_stops_its_solve(finished, tmp_path, told):
    recipe = tmp_path / "endless.yaml"
    recipe.write_text(TINY_RECIPES["inr"].replace("steps: 4", "steps: 1000000"))
    out = shutil.copytree(finished[0] / "smear-32", tmp_path / "out" / "smear-32").parent
    asked = settings(recipes=(str(recipe),))
    (out / "settings.json").write_text(json.dumps(asked.identity))
    command = [sys.executable, "-c", "from fpm_inr.cli import main; main()", "benchmark"]
    command += ["-o", str(out), "--sizes", "32", "--slices", "5", "--specimens", "smear"]
    command += ["--engines", "inr", "--recipe", str(recipe)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as parent:
        solves: list[psutil.Process] = []
        try:
            while not solves and parent.poll() is None:
                time.sleep(0.05)
                solves = [one for one in psutil.Process(parent.pid).children() if is_solve(one)]
            parent.send_signal(told)
            assert parent.wait(30) == (143 if told == signal.SIGTERM else 130)
            assert solves
            assert not any(one.is_running() for one in solves)
        finally:
            parent.kill()


def test_the_truth_itself_has_no_error(finished):
    truth = load_truth(finished[0] / "smear-32" / "truth.h5")
    perfect = against_truth(np.exp(1j) * truth.seen_y_x, truth.depth_y_x_um, truth, 2)
    assert perfect["amplitude_relative_l2"] < 1e-6
    assert perfect["complex_error"] < 1e-6
    assert perfect["phase_error_rad"] < 1e-6
    assert max(band["error"] for band in perfect["bands"]) < 1e-6
    assert perfect["depth_slope"] == pytest.approx(1)
    assert perfect["depth_rmse_um"] == 0


def test_an_error_of_slow_phase_is_seen_where_it_is(finished):
    truth = load_truth(finished[0] / "smear-32" / "truth.h5")
    x = np.linspace(-0.5, 0.5, truth.seen_y_x.shape[1])
    tilted = truth.seen_y_x * np.exp(1j * x)
    found = against_truth(tilted, truth.depth_y_x_um, truth, 2)
    assert found["phase_error_rad"] > 0.1
    assert found["phase_rmse_less_ramp_rad"] < 1e-4
    assert found["amplitude_relative_l2"] < 1e-6
    errors = [band["error"] for band in found["bands"]]
    assert errors.index(max(errors)) <= 1


def test_the_case_tells_complex_error_by_band_and_at_the_true_height(finished):
    (case,) = json.loads((finished[0] / "benchmark.json").read_text())["cases"]
    whole = np.sqrt(sum(band["error"] ** 2 for band in case["bands"]))
    assert whole == pytest.approx(case["complex_error"])
    assert 0 < case["true_height_complex_error"] < 1
    assert case["specimen"] == "smear"
    text = table(json.loads((finished[0] / "benchmark.json").read_text()))
    head = next(line for line in text.splitlines() if line.startswith("| size"))
    assert head.index("complex error") < head.index("phase error") < head.index("amplitude")
    assert (finished[0] / "smear-32").is_dir()


def test_specimens_differ_in_what_lies_under_the_objective(tmp_path):
    from fpm_inr.benchmark.experiment import prepare

    phases = []
    for subject in SPECIMENS:
        (tmp_path / subject).mkdir()
        prepare(tmp_path / subject, 32, subject, settings())
        truth = load_truth(tmp_path / subject / "truth.h5")
        assert truth.settings["specimen"]["subject"] == subject
        assert np.ptp(truth.depth_y_x_um) == pytest.approx(12, rel=0.05)
        phases.append(np.unwrap(np.angle(truth.object_y_x)))
    assert not np.allclose(phases[0], phases[1])


def test_the_specimen_spans_half_of_the_range(finished):
    truth = load_truth(finished[0] / "smear-32" / "truth.h5")
    assert np.ptp(truth.depth_y_x_um) == pytest.approx(12, rel=0.05)


def test_another_benchmark_is_not_mixed_in(finished, tmp_path):
    out, _ = finished
    with pytest.raises(SettingsError, match="slices: is 7"):
        run_benchmark(out, settings(slices=7))
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(OutputError, match="other files"):
        run_benchmark(tmp_path, settings())


@pytest.mark.parametrize(
    "wrong",
    [
        {"sizes": ()},
        {"sizes": (8,)},
        {"engines": ("magic",)},
        {"recipes": ()},
        {"specimens": ()},
        {"specimens": ("soup",)},
        {"recipes": ("nothing",)},
        {"slices": 2},
        {"repeats": 0},
        {"z_range_um": (3.0, 3.0)},
        {"tilt_deg": 90.0},
    ],
)
def test_settings_out_of_range(wrong):
    with pytest.raises(SettingsError):
        settings(**wrong)


def test_a_tilt_out_of_the_range(tmp_path):
    with pytest.raises(SettingsError, match="tilt: of 70 degrees"):
        run_benchmark(tmp_path / "out", settings(tilt_deg=70.0))


def test_what_is_too_large_is_said_and_not_begun():
    method = Method("inr", "default")
    asked = settings()
    assert running.too_large(128, method, asked, []) == ""
    assert "no smaller case" in running.too_large(1024, method, asked, [])
    done = {"size": 128, "method": "inr-default", "solve_seconds": 100.0, "peak_memory_bytes": 5e8}
    assert running.too_large(256, method, asked, [done]) == ""
    assert "1.8 hours" in running.too_large(1024, method, asked, [done])
    assert "GiB" in running.too_large(4096, method, asked, [done | {"peak_memory_bytes": 5e11}])


def test_the_table_says_what_was_not_run(finished):
    outcome = json.loads((finished[0] / "benchmark.json").read_text())
    outcome["cases"].append(
        {"size": 1024, "specimen": "lens", "method": "inr-quick", "not_run": "it would take long"}
    )
    assert "Not run: 1024 lens inr-quick: it would take long." in table(outcome)
    assert "size" in COLUMNS


def test_focus_heights_are_among_the_slices():
    asked = settings(slices=161)
    assert len(asked.focus_z_um) == 41
    assert set(asked.focus_z_um) <= set(asked.z_um)
    assert len(settings().focus_z_um) == 5
