"""A graphics card that is none: tensors on it hold real numbers of the CPU, and every step is seen.

Inside `PretendedCard`, the device "meta" computes. As on a card, tensors of two devices do not
meet; single precision is the best it has (as on Apple's); and what makes the CPU wait for it, or
sends it something, is counted with the line of the package that did so.
"""

from __future__ import annotations

import sys
from collections import Counter
from types import FrameType
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CARD = torch.device("meta")
ATEN = torch.ops.aten
# what torch marks as hanging on values, so that the CPU waits for them, and two that it does not
MARKS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
WAITS = {ATEN.nanmedian.default, ATEN._linalg_check_errors.default}
AT_ONCE = {
    ATEN._conj.default: ATEN._conj_physical.default,
    ATEN._neg_view.default: ATEN.neg.default,
}
INDEXED = {ATEN.index.Tensor, ATEN.index_put_.default, ATEN.index_put.default}
MAKE = (torch.tensor, torch.as_tensor, torch.asarray)


class MixedDevicesError(RuntimeError):
    """Tensors of two devices met."""


class OnCard(Tensor):
    """A tensor on the card; `held` has its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Self:
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=CARD,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} of a pretended card's tensor, outside of it")


class _Made(TorchFunctionMode):
    """Tensors made of Python's numbers go through the CPU, so that they are seen."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in MAKE and _is_card(kwargs.get("device")):
            to = kwargs.pop("device")
            return func(*args, **kwargs).to(to)
        if func is Tensor.new_tensor and args[0].device == CARD and "device" not in kwargs:
            kwargs.setdefault("dtype", args[0].dtype)
            return torch.tensor(*args[1:], **kwargs).to(CARD)
        if func is Tensor.numpy and isinstance(args[0], OnCard):
            raise TypeError("can't convert a tensor on a card to numpy: copy it to the CPU first")
        if func is Tensor.tolist and isinstance(args[0], OnCard):
            return args[0].cpu().tolist()
        if func in (Tensor.__format__, Tensor.__repr__) and isinstance(args[0], OnCard):
            return func(args[0].cpu(), *args[1:])
        return func(*args, **kwargs)


class PretendedCard(TorchDispatchMode):
    """The card; `fetched`, `sent` and `waited` count by place in the package.

    `lacks` names operations that it has not; `made` has those that were made there.
    """

    def __init__(self, lacks: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.lacks = lacks
        self.made: set[str] = set()
        self.fetched: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.waited: Counter[str] = Counter()
        self._numbers_made = _Made()

    @property
    def stops(self) -> Counter[str]:
        """All that a loop is to do without."""
        return self.fetched + self.sent + self.waited

    def __enter__(self) -> Self:
        self._numbers_made.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._numbers_made.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        held = any(isinstance(one, OnCard) for one in given)
        target = kwargs.get("device")
        to_card = held if target is None else _is_card(target)
        if to_card and target is not None:
            kwargs["device"] = torch.device("cpu")
        if to_card:
            self._make(func.name())
        self._count(func, args, kwargs, held=held, to_card=to_card)
        if held:
            self._check(func, args, given)
        # a conjugate that is only marked as one would go unnoticed down here
        does = AT_ONCE.get(func, func)
        found = does(*_numbers(args), **_numbers(kwargs))
        if func is ATEN._local_scalar_dense.default:
            return found
        returns = func._schema.returns
        if returns and returns[0].alias_info is not None and returns[0].alias_info.is_write:
            if isinstance(args[0], OnCard) and args[0].shape != args[0].held.shape:
                _reshape(func, *args)
            return args[0]
        return tree_map(lambda one: _placed(one) if to_card else one, found)

    def _make(self, name: str) -> None:
        self.made.add(name)
        if name in self.lacks:
            # in the words of torch for Apple's device
            raise NotImplementedError(
                f"The operator '{name}' is not currently implemented for the MPS device. If you "
                "want this op to be considered for addition please comment on an issue"
            )

    def _count(self, func: Any, args: Any, kwargs: Any, *, held: bool, to_card: bool) -> None:
        if func is ATEN._local_scalar_dense.default and held:
            self.fetched[_place()] += 1
        elif func is ATEN._to_copy.default and held != to_card:
            (self.sent if to_card else self.fetched)[_place()] += 1
        elif func is ATEN.copy_.default and isinstance(args[0], OnCard) != isinstance(
            args[1], OnCard
        ):
            (self.sent if isinstance(args[0], OnCard) else self.fetched)[_place()] += 1
        elif func in INDEXED and held:
            places = [one for one in args[1] if isinstance(one, Tensor)]
            if any(one.dtype in (torch.bool, torch.uint8) for one in places):
                self.waited[_place()] += 1
            if not all(isinstance(one, OnCard) for one in places):
                self.sent[_place()] += 1
        elif (func in WAITS or MARKS & {*func.tags}) and held and not kwargs.get("output_size"):
            self.waited[_place()] += 1

    def _check(self, func: Any, args: Any, given: list[Tensor]) -> None:
        if func in (ATEN._to_copy.default, ATEN.copy_.default):
            return
        if func in INDEXED:
            given = [args[0], *args[2:3]]
        far = [one for one in given if not isinstance(one, OnCard) and one.dim() > 0]
        if far or (func in INDEXED and not isinstance(given[0], OnCard)):
            raise MixedDevicesError(f"{func} of tensors on the card and on the CPU at {_place()}")


def _reshape(func: Any, *args: Any) -> None:
    """Change the shape of the tensor itself as that of its numbers was: `squeeze_` and its like."""
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.Python)
    with torch._C._ExcludeDispatchKeyGuard(keys), torch._C._DisableTorchDispatch():
        func(*args)


def _is_card(device: object) -> bool:
    return device is not None and torch.device(device) == CARD  # type: ignore[call-overload]


def _numbers(values: Any) -> Any:
    return tree_map(lambda one: one.held if isinstance(one, OnCard) else one, values)


def _placed(one: Any) -> Any:
    if not isinstance(one, Tensor):
        return one
    if one.dtype in (torch.float64, torch.complex128):
        raise TypeError(f"double precision on the card at {_place()}")
    return OnCard(one)


def _place() -> str:
    """The line of the package that is at work."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if "fpm_inr" in name:
            return f"{name.rpartition('fpm_inr')[2].lstrip('/')}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"
