"""Heights from text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpm_inr.errors import SettingsError
from fpm_inr.heights import check_heights, default_heights, parse_heights, uniform_step_um


@pytest.mark.parametrize(
    ("text", "z_um"),
    [
        ("-20:20:10", [-20, -10, 0, 10, 20]),
        ("0:1:0.4", [0, 0.4, 0.8]),
        ("0:0.3:0.1", [0, 0.1, 0.2, 0.3]),
        ("5:5:1", [5]),
        ("3", [3]),
        ("5.5,-10,0", [-10, 0, 5.5]),
    ],
)
def test_forms(text, z_um):
    np.testing.assert_allclose(parse_heights(text), z_um, atol=1e-12)


@given(
    start=st.floats(-1000, 1000),
    steps=st.integers(0, 500),
    step=st.decimals(min_value="0.01", max_value="10", places=2),
)
def test_the_end_is_included_where_it_lies_on_the_grid(start, steps, step):
    stop = start + steps * float(step)
    z_um = parse_heights(f"{start!r}:{stop!r}:{step}")
    assert len(z_um) == steps + 1
    assert z_um[-1] == pytest.approx(stop, abs=1e-6)
    assert steps == 0 or uniform_step_um(z_um) == pytest.approx(float(step))


@pytest.mark.parametrize(
    "text",
    ["", "a", "1:2", "1:2:3:4", "1:2:0", "1:2:-1", "2:1:1", "1,1", "nan", "0:inf:1", "0:1:1e-9"],
)
def test_refusals(text):
    with pytest.raises(SettingsError, match=r"^z: "):
        parse_heights(text)


def test_default_and_range():
    assert default_heights((-20, 20))[[0, 20, 40]].tolist() == [-20, 0, 20]
    assert default_heights((5, 5)).tolist() == [5]
    assert check_heights([20 + 1e-9], (-20, 20)).tolist() == [20]
    with pytest.raises(SettingsError, match=r"20\.5 um is outside the solved range -20 to 20 um"):
        check_heights([0, 20.5], (-20, 20))
    with pytest.raises(SettingsError, match="no heights"):
        check_heights([], (-20, 20))


def test_uneven_steps_have_no_step():
    assert uniform_step_um(np.array([0.0])) is None
    assert uniform_step_um(np.array([0.0, 1, 3])) is None
    assert uniform_step_um(np.array([0.0, 0, 0])) is None
    assert uniform_step_um(np.array([0.0, 1, 2])) == 1
