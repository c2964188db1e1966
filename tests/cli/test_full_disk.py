"""A disk that is full, a folder that is read-only: one sentence, and what was there stays."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fpm_inr.cli import main
from fpm_inr.io.native import write_acquisition
from fpm_inr.solution import load_solution
from fpm_inr.solve import drive
from tests.tiny import tiny_acquisition

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs limits of a Unix system")

Arguments = list[object]
# verb -> its arguments, given the folder with acquisition.h5 and a solution, and where to write
Verb = Callable[[Path, Path], Arguments]
SOLVE = ["--z-range", -4, 4, "--steps", 4, "--device", "cpu"]
CALIBRATE = ["--z", 0, "--free", "gains", "--steps", 4]
SIMULATE = ["--preset", "demo", "--size", 24, 24, "--no-scan"]
FOCUS = ["--z=-4,0,4", "--patch", 16, "--stride", 8]
FIELD = "solved/field.safetensors"
VERBS: dict[str, Verb] = {
    "reconstruct": lambda given, out: ["reconstruct", given / "a.h5", "-o", out / "new", *SOLVE],
    "calibrate": lambda given, out: ["calibrate", given / "a.h5", "-o", out / "new", *CALIBRATE],
    "convert": lambda given, out: ["convert", given / "a.h5", "-o", out / "a.h5"],
    "convert ptylab": lambda given, out: [
        *("convert", given / "a.h5", "--to", "ptylab", "-o", out / "a.h5")
    ],
    "simulate": lambda given, out: ["simulate", *SIMULATE, "-o", out / "new"],
    "export": lambda given, out: ["export", given / "solved", "-o", out / "a.html"],
    "focus": lambda given, out: ["focus", given / FIELD, "-o", out / "new", *FOCUS],
    "inspect": lambda given, out: [
        *("inspect", given / "a.h5", "--no-orientation", "-o", out / "a.png")
    ],
    "evaluate": lambda given, out: [
        *("evaluate", given / FIELD, given / FIELD, "--z", 0, "-o", out / "a.png")
    ],
}
STACKS = ("a.ome.tif", "a.ome.zarr", "a.npy", "a.mp4", "a.gif", "a_{z}.png", "pictures")


def render(name: str) -> Verb:
    return lambda given, out: ["render", given / FIELD, "-o", out / name, "--z=-4,0,4"]


VERBS |= {f"render {name}": render(name) for name in STACKS}


def run(arguments: Arguments) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


def again(arguments: Arguments) -> Arguments:
    """The same, over what is there; pictures of these verbs are always replaced."""
    return arguments if arguments[0] in ("inspect", "evaluate") else [*arguments, "--overwrite"]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses what makes a file larger than this, as a full disk does."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written in it; root, whom no mode stops, becomes nobody meanwhile."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for one in folders:
        one.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for one in folders:
            one.chmod(0o755)


def held(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def one_sentence(said: str, place: Path) -> None:
    """The last thing that is said is the error, which names the place; there is no traceback."""
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert last.endswith(".")
    assert str(place) in last


@pytest.fixture(scope="module")
def given() -> Iterator[Path]:
    """A folder that everybody can read, with an acquisition and a solution."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        write_acquisition(folder / "a.h5", tiny_acquisition())
        assert run(["reconstruct", folder / "a.h5", "-o", folder / "solved", *SOLVE]) == 0
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def out(given: Path) -> Iterator[Path]:
    folder = given / "out"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("verb", VERBS)
def test_what_was_there_stays_where_nothing_can_be_written(
    verb: str, given: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = VERBS[verb](given, out)
    assert run(arguments) == 0
    good = held(out)
    assert good
    capsys.readouterr()
    # nothing fits; some files do and the largest does not
    for size in (100, max(map(len, good.values())) // 2):
        with largest_file(size):
            assert run(again(arguments)) == 2
        one_sentence(capsys.readouterr().err, out)
        left = held(out)
        assert not [name for name in left if "partial" in name]
        too_large = {name: content for name, content in good.items() if len(content) > size}
        assert {name: left.get(name) for name in too_large} == too_large
    with read_only(out):
        assert run(again(arguments)) == 2
    one_sentence(capsys.readouterr().err, out)
    assert held(out) == left


def test_a_benchmark_on_a_full_disk_is_one_sentence(
    given: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments: Arguments = ["benchmark", "-o", out / "new", "--sizes", 32, "--specimens", "smear"]
    with largest_file(1000):
        assert run(arguments) == 2
    one_sentence(capsys.readouterr().err, out)
    with read_only(out):
        assert run(["benchmark", "-o", out / "other", "--sizes", 32]) == 2
    one_sentence(capsys.readouterr().err, out / "other")


def test_a_description_that_cannot_be_written_is_one_sentence(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(Path(__file__).parents[2] / "docs" / "images" / "bloodsmear.png", out / "0.png")
    assert run(["init", out]) == 0
    good = held(out)
    with largest_file(100):
        assert run(["init", out, "--force"]) == 2
    one_sentence(capsys.readouterr().err, out)
    with read_only(out):
        assert run(["init", out, "--force"]) == 2
    one_sentence(capsys.readouterr().err, out)
    assert held(out) == good


def refused(monkeypatch: pytest.MonkeyPatch, name: str, from_the: int = 1) -> None:
    """From the so-manieth time on, no file of this name takes its place: all is read-only."""
    move, times = Path.replace, iter(range(1, 10**6))

    def replace(self: Path, target: Path) -> Path:
        if Path(target).name == name and next(times) >= from_the:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return move(self, target)

    monkeypatch.setattr(Path, "replace", replace)


def solved(folder: Path) -> Any:
    return load_solution(folder / "field.safetensors").render(0.0).field_z_y_x


@pytest.mark.parametrize(
    ("name", "from_the"), [("checkpoint.safetensors", 4), ("field.safetensors", 1), ("run.json", 1)]
)
def test_a_solve_goes_on_from_what_it_could_write(
    name: str,
    from_the: int,
    given: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """While it solves, or while it writes its results, the folder turns read-only."""
    arguments = VERBS["reconstruct"](given, out)
    monkeypatch.setattr(drive, "CHECKPOINT_SECONDS", 0.0)
    with monkeypatch.context() as patched:
        refused(patched, name, from_the)
        assert run(arguments) == 2
    one_sentence(capsys.readouterr().err, out / "new" / name)
    assert not (out / "new" / "run.json").exists()
    assert run([*arguments, "--resume"]) == 0
    assert (solved(out / "new") == solved(given / "solved")).all()
    assert "checkpoint.safetensors" not in held(out / "new")
