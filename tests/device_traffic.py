"""What a computation asks of a card and of the host, watched on `meta` tensors, which stand for those on the card."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CARD = torch.device("meta")
_WAITS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}
_VIEWS = {"view", "t", "transpose", "permute", "expand", "slice", "select", "detach", "alias", "unsqueeze", "squeeze"}
_NOTHING = {"empty", "empty_like", "new_empty"}
_VIEWS |= {"_unsafe_view", "as_strided", "split", "unbind", "_reshape_alias", "flatten", "lift_fresh"}
# without an implementation for meta tensors; they change their arguments and give nothing
IN_PLACE = {torch.ops.aten._fused_sgd_.tensor_lr}


@dataclass
class Traffic:
    """`kernels`: names of the operations that would run on the card; the rest are faults, by what does them."""

    kernels: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    host_operands: list[str] = field(default_factory=list)


class Watch(TorchDispatchMode):
    """Fills `traffic` with what is computed within."""

    def __init__(self) -> None:
        super().__init__()
        self.traffic = Traffic()
        self._made = _MadeOnTheHost(self.traffic)

    def __enter__(self) -> Watch:
        self._made.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._made.__exit__(*error)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        name = function._schema.name.removeprefix("aten::")
        on_card = any(each.device == CARD for each in given) or kwargs.get("device") == CARD
        if on_card and function in _WAITS:
            self.traffic.waits.append(name)
        result = None if function in IN_PLACE else function(*args, **kwargs)
        if not on_card or name in _VIEWS | _NOTHING:
            return result
        self.traffic.kernels.append(name)
        if any(each.device != CARD for each in given):
            copies = name in ("_to_copy", "copy_", "to")  # in inference mode `to` comes whole
            # one number is an argument of the kernel
            if copies or any(each.device != CARD and each.ndim for each in given):
                (self.traffic.copies if copies else self.traffic.host_operands).append(name)
        return result


class _MadeOnTheHost(TorchFunctionMode):
    """`torch.tensor([...], device=...)` copies from the host before anything is dispatched."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        self.traffic = traffic

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = function in (torch.tensor, torch.as_tensor) and not isinstance(args[0], Tensor)
        if made and torch.device(kwargs.get("device") or "cpu") == CARD:
            self.traffic.copies.append("torch.tensor")
        return function(*args, **kwargs)
