"""Transforms against NumPy in double precision, at the size that torch scales twice."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import torch

import fpm_inr
from fpm_inr import transforms

SOURCE = Path(fpm_inr.__file__).parent
REPOSITORY = Path(__file__).parents[2]
# MKL's kernels for any processor: those that scale twice. They are chosen as torch starts.
FAULTY = {"MKL_CBWR": "COMPATIBLE", "OMP_NUM_THREADS": "2"}


def on_faulty_kernels(*arguments: str) -> str:
    """Last line that a fresh Python prints."""
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **FAULTY, "PYTHONPATH": str(SOURCE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.splitlines()[-1]


def images(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, dtype=dtype, generator=generator)


def largest_error(found: torch.Tensor, true: np.ndarray) -> float:
    return float(np.abs(found.numpy() - true).max() / np.abs(true).max())


@pytest.mark.parametrize(
    ("shape", "dtype", "tolerance"),
    [
        ((2048, 2048), torch.complex64, 1e-5),
        ((2048, 2048), torch.complex128, 1e-12),
        ((2048, 2048), torch.float32, 1e-5),
        ((1, 2048, 2048), torch.complex64, 1e-5),
        ((2, 2048, 2048), torch.complex64, 1e-5),
        ((3, 60, 70), torch.complex64, 1e-5),
        ((7, 5), torch.float64, 1e-12),
    ],
)
def test_transforms_are_numpys(
    shape: tuple[int, ...], dtype: torch.dtype, tolerance: float
) -> None:
    image = images(*shape, dtype=dtype)
    true = np.fft.fft2(image.to(torch.complex128).numpy())
    count = shape[-1] * shape[-2]
    assert largest_error(transforms.summed(image), true) < tolerance
    spectrum = transforms.spectrum(image)
    assert largest_error(spectrum, true / count) < tolerance
    assert largest_error(transforms.image(spectrum), image.numpy()) < tolerance


def test_gradients_are_those_of_the_sums() -> None:
    image = images(4, 6, dtype=torch.complex128).requires_grad_()
    assert torch.autograd.gradcheck(transforms.spectrum, image)
    assert torch.autograd.gradcheck(transforms.image, image)


def test_numpy_and_scipy_are_right_at_this_size_too() -> None:
    """What the simulator, the metrics and the starts of a calibration use."""
    ones = np.ones((2048, 2048), np.complex64)
    for fft2 in (np.fft.fft2, scipy.fft.fft2):
        assert fft2(ones, norm="forward")[0, 0] == pytest.approx(1)
    for ifft2 in (np.fft.ifft2, scipy.fft.ifft2):
        assert ifft2(ones)[0, 0] == pytest.approx(1)
        assert ifft2(ones, norm="forward")[0, 0] == pytest.approx(2048**2)


def test_the_faulty_kernel_is_met_and_does_no_harm() -> None:
    """A fresh process on MKL's kernels for any processor: a field of 1 has a zero frequency of 1.

    Its last number says whether torch still scales twice: the reason for the module.
    """
    asked = (
        "import torch; from fpm_inr import transforms\n"
        "one = torch.ones(2048, 2048, dtype=torch.complex64)\n"
        "there = transforms.spectrum(one)\n"
        "print(float(there[0, 0].real), float((transforms.image(there) - 1).abs().max()),"
        " float(torch.fft.fft2(one, norm='forward')[0, 0].real))"
    )
    zero, error, _by_torch = map(float, on_faulty_kernels("-c", asked).split())
    assert zero == pytest.approx(1)
    assert error < 1e-5


def test_whole_frames_are_explained_by_every_engine() -> None:
    """1024 x 1024 at upsampling 2 is the size that torch scales twice: residuals were 1.0000."""
    residual = json.loads(on_faulty_kernels("-m", "tests.whole_acquisition"))
    clear = residual.pop("clear")
    assert residual.keys() == {"default", "neural", "paper", "conventional"}
    assert residual["default"] < clear / 10
    assert residual["conventional"] < clear / 4
    assert residual["neural"] < 1.1 * clear  # four small steps from a clear field
    assert residual["paper"] < 0.3  # three steps from a random one


def names_of_transforms(tree: ast.AST) -> list[int]:
    """Lines that reach for torch.fft, by attribute or by import."""
    lines = []
    for node in ast.walk(tree):
        reaches = (
            isinstance(node, ast.Attribute)
            and node.attr == "fft"
            and isinstance(node.value, ast.Name)
            and node.value.id == "torch"
        )
        if isinstance(node, ast.ImportFrom):
            is_torch = (node.module or "").split(".")[0] == "torch"
            named = [node.module or "", *(alias.name for alias in node.names)]
            reaches = is_torch and any("fft" in name or "stft" in name for name in named)
        if isinstance(node, ast.Import):
            reaches = any(alias.name.startswith("torch.fft") for alias in node.names)
        if reaches:
            lines.append(node.lineno)
    return lines


def test_nothing_else_calls_a_transform_of_torch() -> None:
    found = {
        str(path.relative_to(SOURCE)): lines
        for path in SOURCE.rglob("*.py")
        if (lines := names_of_transforms(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert list(found) == ["transforms.py"]


@pytest.mark.parametrize(
    "code",
    [
        "import torch\ntorch.fft.fft2(x)",
        "from torch import fft",
        "from torch.fft import ifft2",
        "import torch.fft as f",
    ],
)
def test_the_rule_sees_every_way_there(code: str) -> None:
    assert names_of_transforms(ast.parse(code))
