"""What a layer that does not learn makes once and keeps, as long as what it was made of stays the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

_Made = TypeVar("_Made")


class Kept(Generic[_Made]):
    """The last value of a function of tensors, made again once any of them is another or was written to.

    Args:
        make: The function.
        unread: How many of the first tensors its value does not depend on.
    """

    def __init__(self, make: Callable[..., _Made], *, unread: int = 0) -> None:
        self._make, self._unread = make, unread
        self._made: _Made | None = None
        self._made_of: tuple[Tensor, ...] = ()
        self._versions: tuple[int, ...] = ()

    def __call__(self, *tensors: Tensor) -> _Made:
        """Gives the value, without a record for gradients."""
        read = tensors[self._unread :]
        versions = tuple(tensor._version for tensor in read)  # noqa: SLF001 -- autograd's own count of writes
        same = len(read) == len(self._made_of) and all(map(lambda a, b: a is b, read, self._made_of))
        if self._made is None or not same or versions != self._versions:
            with torch.no_grad():
                self._made = self._make(*tensors)
            self._made_of, self._versions = read, versions
        return self._made
