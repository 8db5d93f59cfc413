"""Stands in for libraries that are not installed: modules with what an adapter calls, computed by plain torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest


def plant(monkeypatch: pytest.MonkeyPatch, module: str, **contents: Any) -> ModuleType:
    """Puts a module, and its packages, where an import finds it; each call of a planted function is the library's."""
    parts = module.split(".")
    for depth in range(1, len(parts)):
        name = ".".join(parts[:depth])
        if name not in sys.modules:
            package = ModuleType(name)
            package.__path__ = []
            monkeypatch.setitem(sys.modules, name, package)
    made = ModuleType(module)
    made.__dict__.update(contents)
    monkeypatch.setitem(sys.modules, module, made)
    return made


class _Broken(MetaPathFinder):
    def __init__(self, module: str, error: Exception) -> None:
        self.module, self.error = module, error

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name == self.module:
            raise self.error
        return None


@contextmanager
def broken(module: str, error: Exception) -> Iterator[None]:
    """A library that is there and whose import raises."""
    finder = _Broken(module, error)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def calls_of(function: Callable[..., Any]) -> tuple[Callable[..., Any], list[tuple[Any, ...]]]:
    """The function, and a list that holds the arguments of each call."""
    calls: list[tuple[Any, ...]] = []

    def called(*arguments: Any, **named: Any) -> Any:
        calls.append((*arguments, named))
        return function(*arguments, **named)

    return called, calls
