"""Where torch computes: chosen by name, tried before use, described."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fpm_inr.errors import SettingsError

if TYPE_CHECKING:
    import torch

# Of the numbers that a trial finds to those of a CPU.
TOLERANCE = 1e-4


def pick_device(name: str) -> torch.device:
    """Return the device of this name.

    "auto" is a CUDA card where there is one, else Apple's GPU where it does what a solve asks of
    it, else the CPU.

    Raises
    ------
    SettingsError
        Torch knows no such device, this machine has none, or it cannot do what a solve asks of it.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        apple = torch.device("mps")
        has_apple = torch.backends.mps.is_available() and _objection(apple) == ""
        return apple if has_apple else torch.device("cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise SettingsError(
            f"is {name!r}",
            "give auto, cpu, cuda, cuda:1, mps or another device of torch",
            field="device",
        ) from error
    if device.type != "cpu" and (why := _objection(device)):
        raise SettingsError(
            f"is {name}, {why}", f"give {' or '.join(devices_here())}", field="device"
        )
    return device


def devices_here() -> list[str]:
    """Names of devices that may be given on this machine."""
    import torch

    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    apple = ["mps"] if torch.backends.mps.is_available() else []
    return ["auto", "cpu", *cards, *apple]


def describe_device(device: torch.device) -> str:
    """Return the name of the GPU where torch tells one, else that of the device."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def widest(device: torch.device) -> torch.dtype:
    """The most exact real numbers of a device: Apple's have no double precision."""
    import torch

    try:
        return torch.zeros(1, dtype=torch.float64, device=device).dtype
    except (TypeError, RuntimeError):
        return torch.float32


def _objection(device: torch.device) -> str:
    """Why nothing is solved there; nothing where a trial in small goes as on the CPU."""
    try:
        found = _trial(device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError, ValueError) as error:
        kind = device.type
        if kind == "cuda" or not _is_there(device):
            return "which this machine or this torch does not have"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return f"which cannot do what a solve asks of a {kind} device ({reason[:120]})"
    here = _trial("cpu")
    if max(abs(one - other) for one, other in zip(found, here, strict=True)) > TOLERANCE:
        return "whose numbers are not those of a CPU"
    return ""


def _is_there(device: torch.device) -> bool:
    import torch

    try:
        torch.ones(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        return False
    return True


def _trial(device: torch.device | str) -> list[float]:
    """What engines do, in small: transforms of complex numbers, gathered and scattered."""
    import torch

    from fpm_inr import transforms

    places = torch.arange(8, device=device)
    light = torch.polar(1 + places / 8, places.float()).view(2, 4)
    seen = transforms.image(transforms.spectrum(light)).flatten()
    moved = torch.zeros_like(seen)
    moved.scatter_add_(0, places.flip(0), seen).index_add_(0, places, seen)
    moved.index_copy_(0, places[:2], seen.take(places[2:4]))
    return [float(one) for one in torch.view_as_real(moved).flatten().cpu()]
