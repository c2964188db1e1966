"""Packages of others, as an installer leaves them: their metadata, on the path."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

EXTENDING = Path(__file__).parents[1] / "examples" / "extending"


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, project: dict[str, Any]) -> None:
    """Install a project (a pyproject.toml's) into a folder."""
    about = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(folder))


def install_example(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> Path:
    """Install one of examples/extending; return where it is."""
    example = EXTENDING / name
    project = tomllib.loads((example / "pyproject.toml").read_text())["project"]
    install(monkeypatch, folder, project)
    monkeypatch.syspath_prepend(str(example))
    return example
