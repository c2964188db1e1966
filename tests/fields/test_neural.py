"""The neural field's shortcuts are exact, and its z line does what is said."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fpm_inr.fields.neural import NeuralField
from fpm_inr.fields.pixel import PixelField


def plain_parts(field: NeuralField, z_um: float) -> list[Tensor]:
    """The paper's order of work: interpolate the plane, multiply by the z code, then decode."""
    low, high = field.z_range_um
    nodes = field.line.shape[1]
    outputs = []
    for i in range(2):
        features = 0 if field.shared_features else i
        position = (z_um - low) / (high - low) * (nodes - 1) if nodes > 1 else 0.0
        node = min(int(position), max(nodes - 2, 0))
        code = field.line[features, node]
        if nodes > 1:
            code = code + (position - node) * (field.line[features, node + 1] - code)
        plane = field.plane[features].permute(2, 0, 1)[None]
        full = F.interpolate(plane, field.shape_y_x, mode="bilinear", align_corners=False)[0]
        hidden = full.permute(1, 2, 0) * code
        for weight, bias in ((field.weight_1, field.bias_1), (field.weight_2, field.bias_2)):
            hidden = hidden @ weight[i].T + bias[i]
            if field.layer_norm:
                centred = hidden - hidden.mean(-1, keepdim=True)
                hidden = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
            hidden = hidden.clamp_min(0)
        outputs.append(hidden @ field.weight_3[i] + field.bias_3[i])
    return outputs


@settings(deadline=None, max_examples=20)
@given(
    shape=st.tuples(st.integers(4, 13), st.integers(4, 13)),
    share=st.floats(0, 1),
    nodes=st.integers(1, 6),
    divisor=st.integers(1, 3),
    layer_norm=st.booleans(),
    shared=st.booleans(),
)
def test_folding_and_small_grid_are_exact(
    shape: tuple[int, int], share: float, nodes: int, divisor: int, layer_norm: bool, shared: bool
) -> None:
    torch.manual_seed(0)
    field = NeuralField(
        shape,
        (-7.0, 13.0),
        channels=5,
        hidden=6,
        plane_divisor=divisor,
        z_nodes=nodes,
        layer_norm=layer_norm,
        shared_features=shared,
        plane_start=1.0,
        unit_start=False,
    ).double()
    z_um = -7.0 + 20.0 * share
    for got, expected in zip(field.parts(z_um), plain_parts(field, z_um), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-9, rtol=1e-9)


def test_starts_clear() -> None:
    torch.manual_seed(0)
    image = NeuralField((32, 24), (-5.0, 5.0))(2.0)
    assert (image.abs() - 1).abs().max() < 0.05
    assert image.angle().abs().max() < 0.05


def test_coarse_rendering_approaches_the_full_one_for_smooth_fields() -> None:
    torch.manual_seed(0)
    field = NeuralField((32, 32), (0.0, 1.0), plane_divisor=16, plane_start=1.0)
    with torch.no_grad():
        full, coarse = field(0.3), field(0.3, 2)
    assert coarse.shape == full.shape
    assert (full - coarse).abs().max() < 0.1 * (full - full.mean()).abs().max()


def test_heights_beyond_the_range_stay_at_its_ends() -> None:
    field = NeuralField((8, 8), (-1.0, 1.0), plane_start=1.0)
    torch.testing.assert_close(field.code(5.0), field.code(1.0))
    torch.testing.assert_close(field.code(1.0), field.line[:, -1])
    torch.testing.assert_close(field.code(-1.0), field.line[:, 0])


def test_paper_size_of_the_plane() -> None:
    field = NeuralField((64, 48), (0.0, 1.0))
    assert field.plane.shape == (1, 32, 24, 32)
    assert field.line.shape == (1, 5, 32)


def test_pixel_field_gives_the_nearest_plane() -> None:
    images = torch.randn(3, 4, 5, dtype=torch.complex64)
    field = PixelField(images, torch.tensor([-2.0, 0.0, 2.0]))
    torch.testing.assert_close(field(0.9).detach(), images[1])
    torch.testing.assert_close(field(-1.7).detach(), images[0])
    torch.testing.assert_close(field(1.7).detach(), images[2])
    assert field.height_of(1.1) == 2.0
    assert field.z_range_um == (-2.0, 2.0)
    assert field.shape_y_x == (4, 5)


def test_an_image_is_amplitude_and_phase_on_the_full_grid() -> None:
    torch.manual_seed(2)
    field = NeuralField((12, 10), (0.0, 4.0), plane_start=1.0).requires_grad_(False)
    amplitude, phase = field.parts(1.5, 1)
    assert phase.abs().max() > 0.01
    torch.testing.assert_close(field(1.5), torch.polar(amplitude, phase))
    coarse, _ = field.parts(1.5, 2)
    torch.testing.assert_close(field(1.5, 2).abs(), coarse.abs())


@pytest.mark.parametrize("z_um", [0.0, 3.3])
def test_gradients_reach_every_parameter(z_um: float) -> None:
    torch.manual_seed(0)
    field = NeuralField((8, 8), (0.0, 10.0), plane_start=1.0)
    field(z_um).abs().square().sum().backward()
    assert field.plane.grad is not None
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in field.parameters())
