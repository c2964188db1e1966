"""YAML of any origin: small, flat, and read in no time, or refused with one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fpm_inr.engines.recipe import load_recipe
from fpm_inr.errors import DataError, FpmInrError, SettingsError
from fpm_inr.io import load
from fpm_inr.io.schema import read_description
from fpm_inr.io.yaml_text import MOST_BYTES, MOST_VALUES, read_yaml
from fpm_inr.settings import gather_settings

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
BAD = {
    "laughs": (LAUGHS, f"stands for more than {MOST_VALUES} values"),
    "merged": (
        "a0: &a0 {"
        + ", ".join(f"k{n}: 1" for n in range(10))
        + "}\n"
        + "".join(
            f"a{n}: &a{n} {{" + ", ".join(f"m{k}: *a{n - 1}" for k in range(10)) + "}\n"
            for n in range(1, 8)
        ),
        "stands for more than",
    ),
    "itself": ("a: &a [1, *a]\n", "holds itself"),
    "itself as a mapping": ("&a\nb: *a\n", "holds itself"),
    "deep": ("a: " + "[" * 300 + "]" * 300, "nested more than 50 deep"),
    "very deep": ("[" * 100_000, "nested more than 50 deep"),
    "large": ("a: " + "x" * MOST_BYTES, "is larger than"),
    "twice": ("a: 1\nb: 2\na: 3\n", "comes twice, in lines 1 and 3"),
    "two documents": ("a: 1\n---\nb: 2\n", "no YAML text"),
    "no date": ("a: 2020-99-99\n", "no YAML text"),
    "an object": ("!!python/object/apply:os.system [true]\n", "no YAML text"),
    "not text": ("a: \x00\n", "no YAML text"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_may_not_be_is_refused_wherever_yaml_is_read(name: str, tmp_path: Path) -> None:
    text, part = BAD[name]
    path = tmp_path / "acquisition.yaml"
    path.write_text(text)
    readers = {
        DataError: (read_description, lambda path: load(path.parent)),
        SettingsError: (load_recipe, lambda path: gather_settings(path, {})),
    }
    for kind, reads in readers.items():
        for read in reads:
            with pytest.raises(kind, match=part) as error:
                read(path)
            assert str(error.value).startswith(f"{path}: ")
            assert "\n" not in str(error.value)


def test_a_few_aliases_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("near: &near {a: 1}\nfar:\n  <<: *near\n  b: [*near, *near]\n")
    assert read_yaml(path, DataError) == {
        "near": {"a": 1},
        "far": {"a": 1, "b": [{"a": 1}, {"a": 1}]},
    }


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("# nothing yet\n")
    assert read_yaml(path, DataError) is None
    with pytest.raises(SettingsError, match="cannot be read"):
        read_yaml(tmp_path / "missing.yaml", SettingsError)


def test_directions_of_ten_thousand_leds_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("".join(f"- [0.{n:05}, -0.1]\n" for n in range(10_000)))
    assert len(read_yaml(path, DataError)) == 10_000


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(alphabet="ab:{}[],&*<-|>!?'\"\n 0.", max_size=60))
def test_any_text_is_values_or_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    try:
        read_yaml(path, DataError)
    except FpmInrError as error:
        assert "\n" not in str(error)
