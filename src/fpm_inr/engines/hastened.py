"""A neural field's decoders in bfloat16, or compiled: for graphics cards."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor

from fpm_inr.errors import SettingsError
from fpm_inr.fields.neural import NeuralField, composed


def hastened(field: NeuralField, *, amp: bool, compiled: bool) -> Callable[..., Tensor]:
    """What renders the field at a height, and a divisor, as `NeuralField.forward` does.

    Parameters
    ----------
    field : NeuralField
        Stays as it is; where it is moved to, it is rendered.
    amp : bool
        Hidden layers in bfloat16; parameters, the last layer and the image keep single precision.
    compiled : bool
        Decoders by `torch.compile`; the first steps take longer. Where torch has no compiler, the
        first rendering raises a SettingsError.
    """
    hidden = _compiled(field.hidden) if compiled else field.hidden

    def render(z_um: float, divisor: int = 1) -> Tensor:
        code = field.code(z_um)
        with torch.autocast(code.device.type, torch.bfloat16) if amp else nullcontext():
            amplitude, phase = hidden(code, divisor)
        # 8 bits are too few for a phase of several radians
        return composed(*field.outputs((amplitude.float(), phase.float()), divisor))

    return render


def _compiled(hidden: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., tuple[Tensor, Tensor]]:
    """What is compiled when it is first called; where that fails, a sentence."""
    quick = torch.compile(hidden)

    def tried(code: Tensor, divisor: int) -> tuple[Tensor, Tensor]:
        from torch._dynamo.exc import TorchDynamoException

        try:
            return quick(code, divisor)
        except TorchDynamoException as error:
            raise SettingsError(
                f"is true, and torch cannot compile here ({str(error).splitlines()[0]})",
                "leave it out, or install what torch asks for (a C++ compiler, on a card Triton)",
                field="recipe: field.compile",
            ) from error

    return tried
