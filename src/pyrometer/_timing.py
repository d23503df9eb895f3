"""What `time()`, `count_exceptions()` and `track_inprogress()` return.

Each object is a context manager, for `with` and for `async with`, and a decorator. As a decorator it takes what can be
called and gives back the same kind of thing: a coroutine function stays one, so do generator functions, asynchronous
generator functions, class methods and static methods; name, docstring, signature and `__wrapped__` are kept.

What a decorated function's block is:

* plain function: the call;
* coroutine function: from the first step of the awaited coroutine to its end, the time it is suspended included;
* generator, asynchronous generator: from the first item asked for to exhaustion, `close()` or an exception, the
  time the consumer takes between two items included. One that is never started is no block: nothing is recorded.
"""

from __future__ import annotations

import sys
from time import perf_counter as clock

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Any, Protocol, TypeVar

    from typing_extensions import Self

    class _Increments(Protocol):
        def inc(self) -> object: ...

    class _IncrementsAndDecrements(_Increments, Protocol):
        def dec(self) -> object: ...

    ExceptionTypes = type[BaseException] | tuple[type[BaseException], ...]
    F = TypeVar("F", bound=Callable[..., Any])


class Timer:
    """The duration of a block or of each call of a function, in seconds, handed to a method of a metric.

    The duration is recorded however the block ends: normally, by an exception, by cancellation. Inside a `with`
    block `labels()` chooses the child that will receive it, and after the block `duration` holds it.

    As a decorator it is re-entrant and may be used by any number of threads and tasks. As a context manager one object
    measures one block at a time: call `time()` again for each block.
    """

    __slots__ = ("_method_name", "_metric", "_start", "duration")

    duration: float | None
    """Seconds the block took; None until it has ended."""

    def __init__(self, metric: Any, method_name: str) -> None:
        self._metric = metric
        self._method_name = method_name
        self.duration = None

    def labels(self, *labelvalues: object, **labelkwargs: object) -> None:
        """Record into `metric.labels(...)`; arguments and errors are those of that method."""
        self._metric = self._metric.labels(*labelvalues, **labelkwargs)

    def __enter__(self) -> Self:
        self._start = clock()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.duration = duration = clock() - self._start
        getattr(self._metric, self._method_name)(duration)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    def __call__(self, func: F) -> F:
        """Decorate `func`: every call is timed by itself.

        Raises TypeError if `func` cannot be called, and ValueError for a family with labels: a series has to be named.
        """
        metric, method_name = self._metric, self._method_name
        check = getattr(metric, "_check_observable", None)
        if check is not None:
            check()
        record = getattr(metric, method_name)

        def plain(func: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                start = clock()
                try:
                    return func(*args, **kwargs)
                finally:
                    record(clock() - start)

            return wrapper

        def coroutine(func: Callable[..., Any]) -> Callable[..., Any]:
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                start = clock()
                try:
                    return await func(*args, **kwargs)
                finally:
                    record(clock() - start)

            return wrapper

        return _decorate(func, plain, coroutine, lambda: Timer(metric, method_name))


class ExceptionCounter:
    """One increment for each exception of the given types that leaves a block or a decorated function.

    `GeneratorExit` and `asyncio.CancelledError` are no subclasses of `Exception`: they count only where the given
    types include them. It keeps no state: any number of threads and tasks may use it, nested too.
    """

    __slots__ = ("_counter", "_types")

    def __init__(self, counter: _Increments, exception_types: ExceptionTypes) -> None:
        """Raises TypeError if `exception_types` is neither a class nor a tuple of classes."""
        for given in exception_types if isinstance(exception_types, tuple) else (exception_types,):
            if not isinstance(given, type):
                raise TypeError(f"count_exceptions() takes an exception class or a tuple of them, got {given!r}")
        self._counter = counter
        self._types = exception_types

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None and isinstance(exc, self._types):
            self._counter.inc()

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    def __call__(self, func: F) -> F:
        """Decorate `func`. Raises TypeError if `func` cannot be called."""
        counter, counted = self._counter, self._types

        def plain(func: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                try:
                    return func(*args, **kwargs)
                except BaseException as exc:
                    if isinstance(exc, counted):
                        counter.inc()
                    raise

            return wrapper

        def coroutine(func: Callable[..., Any]) -> Callable[..., Any]:
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                try:
                    return await func(*args, **kwargs)
                except BaseException as exc:
                    if isinstance(exc, counted):
                        counter.inc()
                    raise

            return wrapper

        return _decorate(func, plain, coroutine, lambda: self)


class InprogressTracker:
    """A gauge that is one higher while a block or a call of a decorated function runs, however it ends.

    It keeps no state: any number of threads and tasks may use it, nested too.
    """

    __slots__ = ("_gauge",)

    def __init__(self, gauge: _IncrementsAndDecrements) -> None:
        self._gauge = gauge

    def __enter__(self) -> None:
        self._gauge.inc()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._gauge.dec()

    async def __aenter__(self) -> None:
        self._gauge.inc()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._gauge.dec()

    def __call__(self, func: F) -> F:
        """Decorate `func`. Raises TypeError if `func` cannot be called."""
        inc, dec = self._gauge.inc, self._gauge.dec

        def plain(func: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                try:
                    # Inside the try: a signal handler may raise as soon as a compiled inc() has returned.
                    inc()
                    return func(*args, **kwargs)
                finally:
                    dec()

            return wrapper

        def coroutine(func: Callable[..., Any]) -> Callable[..., Any]:
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                try:
                    inc()
                    return await func(*args, **kwargs)
                finally:
                    dec()

            return wrapper

        return _decorate(func, plain, coroutine, lambda: self)


def _decorate(
    func: F,
    plain: Callable[[Callable[..., Any]], Callable[..., Any]],
    coroutine: Callable[[Callable[..., Any]], Callable[..., Any]],
    block: Callable[[], AbstractContextManager[Any]],
) -> F:
    """Wrap `func` according to its kind: `plain` and `coroutine` make the wrappers of ordinary and coroutine functions,
    `block` the context manager around one run of a generator.
    """
    decorated: Any
    if isinstance(func, (classmethod, staticmethod)):
        decorated = type(func)(_decorate(func.__func__, plain, coroutine, block))
    else:
        decorated = _wrap(func, plain, coroutine, block)
    same_type: F = decorated
    return same_type


def _wrap(
    func: Callable[..., Any],
    plain: Callable[[Callable[..., Any]], Callable[..., Any]],
    coroutine: Callable[[Callable[..., Any]], Callable[..., Any]],
    block: Callable[[], AbstractContextManager[Any]],
) -> Callable[..., Any]:
    if not callable(func):
        raise TypeError(f"a function or another callable is needed to decorate, got {func!r}")

    # Slow to import: only programs that decorate pay for them.
    import functools
    import inspect
    import types

    called: Any = func
    while isinstance(called, functools.partial):
        called = called.func
    # Of an object it is __call__ that says the kind, unless the object is marked itself.
    has_kind = inspect.isroutine(called) or isinstance(called, type)
    kind = called if has_kind else type(called).__call__
    wrapper: Callable[..., Any]
    if any(inspect.iscoroutinefunction(f) or _is_marked_for_asyncio(f) for f in (called, kind)):
        wrapper = coroutine(func)
    elif inspect.isasyncgenfunction(kind):
        wrapper = _wrap_async_generator_function(func, block)
    elif inspect.isgeneratorfunction(kind):
        wrapper = _wrap_generator_function(func, block)
        if kind.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE:
            wrapper = types.coroutine(wrapper)
    else:
        wrapper = plain(func)
    # For partials and objects, which have no name of their own: two of them must not share one in a web framework.
    wrapper.__name__ = wrapper.__qualname__ = getattr(called, "__name__", type(called).__name__)
    return functools.update_wrapper(wrapper, func)


def _wrap_generator_function(
    func: Callable[..., Any], block: Callable[[], AbstractContextManager[Any]]
) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with block():
            return (yield from func(*args, **kwargs))

    return wrapper


def _wrap_async_generator_function(
    func: Callable[..., Any], block: Callable[[], AbstractContextManager[Any]]
) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with block():
            generator = func(*args, **kwargs)
            first = _first_item(generator)
            try:
                item = await first
                while True:
                    try:
                        sent = yield item
                    except GeneratorExit:
                        await generator.aclose()
                        raise
                    except BaseException as exc:
                        item = await generator.athrow(exc)
                    else:
                        item = await generator.asend(sent)
            except StopAsyncIteration:
                # Exhausted, and caught inside the block: it is no exception of the function.
                return

    return wrapper


def _first_item(generator: AsyncGenerator[Any, Any]) -> Awaitable[Any]:
    """The first item of `generator`, which the event loop is not told of.

    A loop that shuts down closes all asynchronous generators it knows at the same time. Of two where one iterates the
    other it must know the outer alone, or the inner one is closed twice at once, which is an error.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.__anext__()
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _is_marked_for_asyncio(func: Callable[..., Any]) -> bool:
    """Whether `func` is a callable that says of itself, in asyncio's older way, that it returns a coroutine."""
    coroutines = sys.modules.get("asyncio.coroutines")
    marker = getattr(coroutines, "_is_coroutine", None)
    return marker is not None and getattr(func, "_is_coroutine", None) is marker
