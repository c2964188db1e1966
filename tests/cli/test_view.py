"""`fpm-inr view`: serves until Ctrl-C; the raw frame comes from the run's own data."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from fpm_inr.cli import main
from fpm_inr.io.native import write_acquisition
from fpm_inr.viewer.sources import raw_source
from fpm_inr.viewer.tile_codec import decode
from tests.mosaic.repeated import repeated_mosaic
from tests.tiny import tiny_acquisition
from tests.viewer.fields import random_solution


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "result"
    folder.mkdir()
    random_solution((32, 40)).save(folder / "field.safetensors")
    write_acquisition(tmp_path / "data.h5", tiny_acquisition())
    settings = {"data": str(tmp_path / "data.h5"), "crop": [2, 4, 16, 18]}
    (folder / "run.json").write_text(json.dumps({"settings": settings}))
    return folder


def test_serves_until_interrupted(results: Path) -> None:
    program = [sys.executable, "-c", "from fpm_inr.cli import main; main()"]
    command = [*program, "view", str(results), "--raw", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        address = process.stdout.readline().decode().strip()
        with urllib.request.urlopen(address) as page:
            assert b"<title>result</title>" in page.read()
        with urllib.request.urlopen(address + "field-0") as field:
            assert field.read() == (results / "field.safetensors").read_bytes()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert b"Traceback" not in process.stderr.read()


def test_a_mosaic_is_served_as_a_map(tmp_path: Path) -> None:
    mosaic = repeated_mosaic(tmp_path / "field", 2, tile_px=64, overlap_px=16, planes=4)
    program = [sys.executable, "-c", "from fpm_inr.cli import main; main()"]
    command = [*program, "view", str(mosaic), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        address = process.stdout.readline().decode().strip()
        with urllib.request.urlopen(address) as page:
            assert b'"planesUm": null' in page.read()
        with urllib.request.urlopen(address + "tiles/0/0-0.tile") as tile:
            assert decode(tile.read()).shape == (4, 226, 226)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert b"Traceback" not in process.stderr.read()


def test_raw_frame_is_the_crop_that_was_solved(results: Path) -> None:
    content = raw_source(results).content
    assert isinstance(content, bytes)
    image = load(content)["field.image"]
    frames = tiny_acquisition().amplitude_led_y_x[:, 2:18, 4:22]
    np.testing.assert_allclose(image[0, :, :, 0], frames[12], rtol=1e-6)


def test_missing_data_is_told(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "run.json").write_text(json.dumps({"settings": {"data": "gone.h5"}}))
    with pytest.raises(SystemExit) as ended:
        main(["view", str(results), "--raw"])
    assert ended.value.code == 2
    assert "gone.h5" in capsys.readouterr().err
