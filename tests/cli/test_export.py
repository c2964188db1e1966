"""`fpm-inr export`: one HTML file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpm_inr.cli import main
from tests.mosaic.repeated import repeated_mosaic
from tests.viewer.fields import random_solution


@pytest.fixture
def field(tmp_path: Path) -> Path:
    path = tmp_path / "smear.safetensors"
    random_solution((30, 40)).save(path)
    return path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_writes_one_file_and_tells_its_size(
    field: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", field, "-o", tmp_path / "smear.html") == 0
    page = (tmp_path / "smear.html").read_text()
    assert "<title>smear</title>" in page
    assert "MB" in capsys.readouterr().out


def test_a_folder_of_results_and_two_sides(field: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run 1"
    folder.mkdir()
    field.rename(folder / "field.safetensors")
    output = tmp_path / "both.html"
    assert run("export", folder, "--beside", folder, "-o", output) == 0
    page = output.read_text()
    assert "<title>run 1</title>" in page
    assert 'id="field-1"' in page


def test_refusals(field: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "smear.html"
    output.write_text("mine")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\x05\0\0\0\0\0\0\0hello")
    (tmp_path / "empty").mkdir()
    for arguments, part in (
        (("export", field, "-o", output), "--overwrite"),
        (("export", field, "-o", tmp_path / "smear.png"), ".html"),
        (("export", field, "-o", tmp_path / "no/where.html"), "create the folder"),
        (("export", tmp_path / "none", "-o", tmp_path / "a.html"), "is not a file"),
        (("export", tmp_path / "empty", "-o", tmp_path / "a.html"), "holds no field.safetensors"),
        (("export", damaged, "-o", tmp_path / "a.html"), "cannot be read as a field"),
        (("export", field, "--raw", "-o", tmp_path / "a.html"), "run.json"),
        (("export", field, "--raw", "--beside", field, "-o", tmp_path / "a.html"), "--beside"),
        (("export", field), "give one of -o FILE.html and --site FOLDER"),
        (("export", field, "-o", tmp_path / "a.html", "--site", tmp_path / "a"), "--site"),
        (("export", field, "--site", tmp_path / "a"), "is no mosaic"),
        (("export", field, "--site", tmp_path / "a", "--raw"), "leave it out"),
        (("export", field, "--site", tmp_path / "empty"), "is no mosaic"),
        (("export", field, "--workers", "2", "-o", tmp_path / "a.html"), "without --site"),
    ):
        assert run(*arguments) == 2
        message = capsys.readouterr().err
        assert part in message, message
        assert message.count("\n") == 1
    assert output.read_text() == "mine"
    assert not (tmp_path / "a.html").exists()


def test_a_mosaic_becomes_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mosaic = repeated_mosaic(tmp_path / "field", 2, tile_px=64, overlap_px=16, planes=4)
    site = tmp_path / "site"
    assert run("export", mosaic, "--site", site, "--workers", 2) == 0
    assert "MB" in capsys.readouterr().out
    files = {str(file.relative_to(site)) for file in site.rglob("*") if file.is_file()}
    assert files == {"index.html", "tiles/0/0-0.tile", "depth/0-0.tile"}
    assert "<title>field</title>" in (site / "index.html").read_text()
    assert run("export", mosaic, "--site", site) == 2
    assert "--overwrite" in capsys.readouterr().err
    (site / "index.html").write_text("old")
    assert run("export", mosaic, "--site", site, "--workers", 1, "--overwrite") == 0
    assert "old" not in (site / "index.html").read_text()[:10]
    # in one file it is a small field, as before
    assert run("export", mosaic, "-o", tmp_path / "small.html") == 0
    assert 'id="field-0"' in (tmp_path / "small.html").read_text()
