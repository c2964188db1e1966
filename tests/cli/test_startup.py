"""Help comes at once: what is heavy is imported only when it is used. Modules are counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from fpm_inr.cli import VERBS

HEAVY = {"dask", "h5py", "matplotlib", "scipy", "skimage", "tifffile", "torch", "zarr"}


def loaded_by(script: str) -> set[str]:
    """Top-level packages that a fresh Python holds after a script."""
    told = "import sys; print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    command = [sys.executable, "-c", f"{script}\n{told}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def help_of(*verb: str) -> str:
    return (
        f"from fpm_inr.cli import main\ntry: main([*{verb!r}, '--help'])\nexcept SystemExit: pass"
    )


@pytest.mark.parametrize("script", ["import fpm_inr", help_of()], ids=["import", "help"])
def test_package_and_help_load_nothing_heavy(script: str) -> None:
    loaded = loaded_by(script)
    assert "fpm_inr" in loaded
    assert not loaded & (HEAVY | {"numpy", "pydantic", "rich"})


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_loads_nothing_heavy(verb: str) -> None:
    assert not loaded_by(help_of(verb)) & HEAVY


def test_importing_the_package_loads_none_of_its_dependencies() -> None:
    third_party = {path.stem for path in Path(click.__file__).parents[1].iterdir()}
    assert not (loaded_by("import fpm_inr") - loaded_by("") - {"fpm_inr"}) & third_party
    assert loaded_by("import torch") >= {"torch", "numpy"}  # the count sees what is loaded
