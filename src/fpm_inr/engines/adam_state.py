"""The state of Adam by names of parameters, for checkpoints."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim import Adam


def moments(optimiser: Adam, module: nn.Module) -> dict[str, Tensor]:
    """What Adam remembers of a module's parameters, as ``optimiser.PARAMETER.KEY``."""
    return {
        f"optimiser.{name}.{key}": value
        for name, parameter in module.named_parameters()
        for key, value in optimiser.state[parameter].items()
    }


def load_moments(optimiser: Adam, module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Set what Adam remembers from tensors of `moments`, others among them."""
    for name, parameter in module.named_parameters():
        prefix = f"optimiser.{name}."
        optimiser.state[parameter] = {
            key.removeprefix(prefix): value.to(parameter.device).clone()
            for key, value in tensors.items()
            if key.startswith(prefix)
        }
