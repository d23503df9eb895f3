"""What the hot modules need of the name `cython` where Cython is not installed, and for the type checker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

T = TypeVar("T")

compiled = False

double = float
int = int
size_t = int
Py_ssize_t = int
bint = bool
uint = int
p_char = Any
p_void = Any


def _same(thing: T) -> T:
    return thing


cclass = cfunc = ccall = final = nogil = no_gc = no_gc_clear = _same


def exceptval(*_args: object, **_options: object) -> Callable[[T], T]:
    return _same


inline = _same


def critical_section(*_objects: object) -> nullcontext[None]:
    """Lock nothing: interpreted modules take a lock of their own where they need one."""
    return nullcontext()


def __getattr__(name: str) -> Any:
    raise AttributeError(f"the interpreted core uses cython.{name}, for which there is no stand-in")
