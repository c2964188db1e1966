"""Solutions: rendering, saving, and refusing what is no solution."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from fpm_inr.acquisition import Optics
from fpm_inr.errors import DataError, FpmInrError, OutputError, SettingsError
from fpm_inr.fields.neural import NeuralField
from fpm_inr.fields.pixel import PixelField
from fpm_inr.forward import Instrument
from fpm_inr.solution import ImageStack, Solution, load_solution


def make(kind: str = "neural") -> Solution:
    torch.manual_seed(0)
    field: NeuralField | PixelField
    if kind == "neural":
        field = NeuralField((12, 16), (-5.0, 5.0), plane_start=0.5)
    else:
        images = torch.randn(3, 12, 16, dtype=torch.complex64)
        field = PixelField(images, torch.tensor([-5.0, 0.0, 5.0]))
    instrument = Instrument(torch.rand(4, 2).double(), torch.ones(4).double(), torch.zeros(3))
    return Solution(
        field, Optics(0.5, 0.2, 0.5), instrument, 2, 12.5, {"engine": "inr", "steps": 3}
    )


@pytest.mark.parametrize("kind", ["neural", "pixel"])
def test_saved_in_full_precision_renders_the_same(kind: str, tmp_path: Path) -> None:
    solution = make(kind)
    solution.save(tmp_path / "field.safetensors", precision="full")
    loaded = load_solution(tmp_path / "field.safetensors")
    z_um = [-5.0, 0.0, 5.0]
    np.testing.assert_array_equal(
        loaded.render(z_um).field_z_y_x, solution.render(z_um).field_z_y_x
    )
    assert loaded.optics == solution.optics
    assert loaded.record == solution.record
    assert loaded.pixel_um == 0.25
    assert loaded.amplitude_scale == 12.5
    torch.testing.assert_close(loaded.instrument.na_led_xy, solution.instrument.na_led_xy)


def test_half_precision_is_close_and_small(tmp_path: Path) -> None:
    solution = make()
    solution.save(tmp_path / "half")
    solution.save(tmp_path / "full", precision="full")
    image = load_solution(tmp_path / "half").render(1.3).field_z_y_x
    assert np.abs(image - solution.render(1.3).field_z_y_x).max() < 5e-3
    assert (tmp_path / "half").stat().st_size < (tmp_path / "full").stat().st_size


def test_render_gives_complex64_with_pixel_size_and_z() -> None:
    stack = make().render([-5, 0.25, 5])
    assert stack.field_z_y_x.dtype == np.complex64
    assert stack.field_z_y_x.shape == (3, 12, 16)
    assert stack.z_um.tolist() == [-5.0, 0.25, 5.0]
    assert stack.pixel_um == 0.25
    assert make().render(0.25).field_z_y_x[0] == pytest.approx(stack.field_z_y_x[1])


def test_a_pixel_field_tells_which_plane_it_gave() -> None:
    assert make("pixel").render([-4.0, 2.6]).z_um.tolist() == [-5.0, 5.0]


@pytest.mark.parametrize("z_um", [[5.1], [float("nan")], [], [[0.0]]])
def test_heights_outside_are_refused(z_um: list[float]) -> None:
    with pytest.raises(SettingsError, match=r"^z: "):
        make().render(z_um)


def test_a_stack_is_an_array_to_numpy() -> None:
    stack = make().render([-5, 0.25, 5])
    images = np.asarray(stack)
    np.testing.assert_array_equal(images, stack.field_z_y_x)
    assert images.dtype == stack.dtype == np.complex64
    assert images.shape == stack.shape == (len(stack), *stack.shape_y_x) == (3, 12, 16)
    assert images.ndim == stack.ndim == 3
    assert np.asarray(stack, dtype=np.complex128).dtype == np.complex128
    assert np.array(stack, copy=True) is not stack.field_z_y_x
    np.testing.assert_array_equal(np.abs(stack), stack.amplitude_z_y_x)
    np.testing.assert_array_equal(np.angle(stack), stack.phase_z_y_x)
    np.testing.assert_array_equal(stack[1, 2:4], stack.field_z_y_x[1, 2:4])
    assert [image.shape for image in stack] == [(12, 16)] * 3
    with pytest.raises(ValueError, match="copy"):
        stack.__array__(np.complex128, copy=False)


def test_misshapen_stack_is_refused() -> None:
    with pytest.raises(DataError, match="one z per image"):
        ImageStack(np.zeros((2, 3, 3), np.complex64), np.zeros(3), 1.0)


def test_unwritable_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing/field\.safetensors"):
        make().save(tmp_path / "missing" / "field.safetensors")
    with pytest.raises(SettingsError, match="precision"):
        make().save(tmp_path / "field.safetensors", precision="double")
    assert not list(tmp_path.iterdir())


def test_what_is_no_field_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "none.safetensors"
    with pytest.raises(DataError, match=r"none\.safetensors"):
        load_solution(missing)
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    with pytest.raises(DataError, match="cannot be read as a field"):
        load_solution(text)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(2)}, foreign)
    with pytest.raises(DataError, match="not a field of this program"):
        load_solution(foreign)
    newer = tmp_path / "newer.safetensors"
    save_file({"a": torch.zeros(2)}, newer, metadata={"fpm-inr": json.dumps({"format": "9"})})
    with pytest.raises(DataError, match="unknown format"):
        load_solution(newer)


def test_a_field_with_nan_is_refused(tmp_path: Path) -> None:
    solution = make()
    with torch.no_grad():
        solution.field.get_parameter("line")[0, 0, 0] = float("nan")
    solution.save(tmp_path / "field.safetensors")
    with pytest.raises(DataError, match=r"line: is not finite"):
        load_solution(tmp_path / "field.safetensors")


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_files_end_in_one_clear_error(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "field.safetensors"
    make().save(path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), "truncate"):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, min(2500, len(content) - 1)))] = data.draw(
                st.integers(0, 255)
            )
    path.write_bytes(bytes(content))
    try:
        stack = load_solution(path).render(load_solution(path).z_range_um[0])
    except FpmInrError as error:
        assert "\n" not in str(error)
        assert "field.safetensors" in str(error) or "z" in str(error)
    else:
        assert stack.field_z_y_x.ndim == 3


def as_version_0_1_wrote(solution: Solution, path: Path, **changes: Any) -> Path:
    """A field file as it was before its header was typed, or with other values in the header."""
    state = {f"field.{n}": v for n, v in solution.field.to_tensors("full").items()}
    instrument = {
        f"instrument.{name}": getattr(solution.instrument, name).double()
        for name in ("na_led_xy", "gain_led", "zernike_rad")
    }
    kind = {"NeuralField": "neural", "PixelField": "pixel"}[type(solution.field).__name__]
    header = {
        "format": "fpm-inr field 1",
        "kind": kind,
        "shape_y_x": [12, 16],
        "z_range_um": [-5.0, 5.0],
        "field": solution.field.settings,
        "optics": {"wavelength_um": 0.5, "na": 0.2, "pixel_um": 0.5, "medium_index": 1.0},
        "upsampling": 2,
        "amplitude_scale": 12.5,
        "record": {"engine": "inr", "steps": 3, "residual": float("nan")},
    }
    text = json.dumps({**header, **changes})
    save_file({**state, **instrument}, path, metadata={"fpm-inr": text})
    return path


@pytest.mark.parametrize("kind", ["neural", "pixel"])
def test_files_of_before_are_read(kind: str, tmp_path: Path) -> None:
    solution = make(kind)
    loaded = load_solution(as_version_0_1_wrote(solution, tmp_path / "field.safetensors"))
    np.testing.assert_array_equal(loaded.render([-5, 5]), solution.render([-5, 5]))
    assert loaded.record["steps"] == 3
    assert loaded.amplitude_scale == 12.5


def nested(depth: int) -> Any:
    inner: Any = 1
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("kind", "changes", "part"),
    [
        ("neural", {"field": {"plane_divisor": 0}}, "plane_divisor: is damaged"),
        ("neural", {"field": {"plane_divisor": 2, "channels": 10**9}}, "channels: is damaged"),
        ("neural", {"field": {"plane_divisor": 1}}, "damaged field file"),
        ("neural", {"field": {"colour": 1}}, "colour: is damaged"),
        ("pixel", {"upsampling": 0}, "upsampling: is damaged"),
        ("pixel", {"upsampling": float("inf")}, "upsampling: is damaged"),
        ("pixel", {"upsampling": 1e300}, "upsampling: is damaged"),
        ("pixel", {"amplitude_scale": float("nan")}, "amplitude_scale: is damaged"),
        ("pixel", {"amplitude_scale": -1}, "amplitude_scale: is damaged"),
        ("pixel", {"shape_y_x": [12, 17]}, "damaged field file"),
        ("neural", {"shape_y_x": [65536, 16384]}, "damaged field file"),  # of its tensors: 12 x 16
        ("pixel", {"shape_y_x": [65536, 65536]}, "more than"),
        ("pixel", {"shape_y_x": [0, 16]}, "shape_y_x.0: is damaged"),
        ("pixel", {"z_range_um": [5, -5]}, "z_range_um"),
        ("pixel", {"z_range_um": [0, float("inf")]}, "z_range_um.1: is damaged"),
        ("pixel", {"optics": {"na": 0.2}}, "damaged field file"),
        ("pixel", {"optics": {"na": 0.2, "wavelength_um": "red"}}, "wavelength_um: is damaged"),
        ("pixel", {"kind": "cloud"}, "kind: is 'cloud'; install the package"),
        ("pixel", {"record": nested(100)}, "nested more than 32 deep"),
        ("pixel", {"record": []}, "record: is damaged"),
    ],
)
def test_headers_of_any_origin_are_bounded(
    kind: str, changes: dict[str, Any], part: str, tmp_path: Path
) -> None:
    path = as_version_0_1_wrote(make(kind), tmp_path / "field.safetensors", **changes)
    with pytest.raises(DataError, match=part) as error:
        load_solution(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_headers_deeper_than_python_goes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.safetensors"
    text = '{"format": "fpm-inr field 1", "record": ' + "[" * 10**5 + "]" * 10**5 + "}"
    save_file({"a": torch.zeros(2)}, path, metadata={"fpm-inr": text})
    with pytest.raises(DataError, match=r"damaged header|nested more than"):
        load_solution(path)
