"""Where torch computes: chosen by name, tried before use, described."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
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
        others = [one for one in devices_here() if one not in (name, device.type)]
        raise SettingsError(f"is {name}, {why}", f"give {' or '.join(others)}", field="device")
    return device


def devices_here() -> list[str]:
    """Names of devices that may be given on this machine."""
    import torch

    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    apple = ["mps"] if torch.backends.mps.is_available() else []
    return ["auto", "cpu", *cards, *apple]


def card_count(name: str) -> int:
    """How many cards a name leaves open: all of CUDA's where it gives no number, else 1."""
    import torch

    device = pick_device(name)
    is_open = device.type == "cuda" and device.index is None
    return torch.cuda.device_count() if is_open else 1


def take_card(name: str, place: int) -> None:
    """Let a process mean one of several cards by a name that leaves them open, in turn by place."""
    import torch

    count = card_count(name)
    if count > 1:
        torch.cuda.set_device(place % count)


def describe_device(device: torch.device) -> str:
    """Return the name of the GPU where torch tells one, else that of the device."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def taken(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Values at these places of all of them, in the shape of the places.

    As `torch.take`, which is the fastest on a CPU, and which Apple's devices do not have.
    """
    if values.device.type == "cpu":
        return values.take(index)
    return values.flatten().index_select(0, index.flatten()).view(index.shape)


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
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        if ran_out(error):
            return "whose memory is full"
        if not _is_there(device):
            return "which this machine or this torch does not have"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return f"for which this torch lacks {_lacking(error) or f'what a solve takes ({reason})'}"
    here = _trial("cpu")
    most = TOLERANCE * max(map(abs, here))
    if any(abs(one - other) > most for one, other in zip(found, here, strict=True)):
        return "whose numbers are not those of a CPU"
    return ""


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Say in a sentence what torch raises where a device has too little memory, or cannot do it.

    Raises
    ------
    SettingsError
    """
    try:
        yield
    except (RuntimeError, TypeError) as error:
        if ran_out(error):
            problem, mend = "has too little memory", "choose a smaller crop, or --device cpu"
            reason = str(error).splitlines()[0] if str(error) else "out of memory"
            raise SettingsError(f"{problem} ({reason})", mend, field="device") from error
        if lacks := _lacking(error):
            raise SettingsError(
                f"cannot be solved on: this torch lacks {lacks} for it",
                "give --device cpu, or take a newer torch",
                field="device",
            ) from error
        raise


def ran_out(error: Exception) -> bool:
    """Whether this is how a device says that its memory ran out."""
    # Apple's device and the libraries of CUDA have no error of their own for it
    marks = ("out of memory", "ALLOC_FAILED", "can't allocate memory")
    return type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError) and any(mark in str(error) for mark in marks)
    )


def _lacking(error: Exception) -> str:
    """What torch says that it lacks for a device; nothing where it says something else."""
    text = str(error)
    if named := re.search(r"(?:[Tt]he operator|Could not run) '(?:aten::)?([\w.]+)'", text):
        return f"the operation {named[1]}"
    if re.search(r"MPS (?:framework|device|backend)", text) and "support" in text:
        return "double precision" if "float64" in text else f"something ({text.splitlines()[0]})"
    return ""


def _is_there(device: torch.device) -> bool:
    import torch

    try:
        torch.ones(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        return False
    return True


def _trial(device: torch.device | str) -> list[float]:
    """What engines do, in small: transforms of complex numbers, gathered, scattered, derived."""
    import torch

    from fpm_inr import transforms

    places = torch.arange(15, device=device)
    light = torch.polar(1 + places / 100, places.float()).view(3, 5).requires_grad_()
    seen = transforms.image(transforms.spectrum(light) * light)
    (seen.abs() - 1).square().sum().backward()
    seen, pull = seen.detach().flatten(), light.grad
    assert pull is not None
    moved = torch.zeros_like(seen)
    moved.scatter_add_(0, places.flip(0), seen).index_add_(0, places, pull.flatten())
    moved.index_copy_(0, places[:2], seen.index_select(0, places[2:4]))
    turned = pull.T.contiguous() @ moved.view(3, 5)
    order = (places % 4).argsort(stable=True)
    numbers = torch.cat(
        [moved, turned.flatten().index_select(0, order), seen[places[::2].roll(1)].conj()]
    )
    return [float(one) for one in torch.view_as_real(numbers).flatten().cpu()]
