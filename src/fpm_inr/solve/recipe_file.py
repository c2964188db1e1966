"""Recipes: settings of an engine, by a name that comes along or from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fpm_inr.errors import SettingsError
from fpm_inr.io.yaml_text import read_yaml

Settings = TypeVar("Settings", bound=BaseModel)
DEFAULT = "default"


def recipe_names(folder: Path | None) -> list[str]:
    """Names of the recipes in a folder."""
    return [] if folder is None else sorted(path.stem for path in folder.glob("*.yaml"))


def read_recipe(name: str | Path, kind: type[Settings], folder: Path | None) -> Settings:
    """Read a recipe of this folder by its name, or a YAML file.

    Without a file of its own the recipe `default` is what the settings are by themselves.

    Raises
    ------
    SettingsError
        There is no such recipe, or it holds unknown keys or values out of range.
    """
    names = recipe_names(folder)
    if folder is not None and str(name) in names:
        path = folder / f"{name}.yaml"
    elif str(name) == DEFAULT:
        return make_settings({}, kind)
    else:
        path = Path(name)
        if not path.is_file():
            known = ", ".join(names or [DEFAULT])
            raise SettingsError(
                f"there is no recipe {str(name)!r}",
                f"give one of {known} or a YAML file",
                field="recipe",
            )
    return make_settings(read_yaml(path, SettingsError), kind, path)


def make_settings(content: Any, kind: type[Settings], source: object = "") -> Settings:
    """Check settings given as plain data.

    Raises
    ------
    SettingsError
        Unknown keys or values out of range.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "union_tag_not_found":
            section = ".".join(str(part) for part in first["loc"])
            raise SettingsError(
                "is missing",
                "say which kind of field and order it is; see docs/recipes.md",
                field=f"{section}.kind",
                source=source,
            ) from error
        raise SettingsError(
            first["msg"][:1].lower() + first["msg"][1:],
            "correct it or leave it out",
            field=".".join(str(part) for part in first["loc"]) or "recipe",
            source=source,
        ) from error
