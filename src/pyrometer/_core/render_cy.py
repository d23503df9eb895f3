"""The loop that turns series into the bytes of a page.

A page is a list of steps: literal bytes, and snapshots whose series are written line by line. The size of the result is
bounded beforehand, so that one buffer is enough; it is filled without the interpreter lock, since all it reads (the
records, the literals) neither moves nor changes while the page exists, but for the values, each of which is one load.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrometer._core import _cython as cython
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

if cython.compiled:
    from cython.cimports.cpython.object import PyObject
    from cython.cimports.libc.stdlib import free, malloc
    from cython.cimports.libc.string import memcpy
    from cython.cimports.pyrometer._core.native import (
        NUMBER_MAX,
        SPARE,
        bytes_data,
        drop,
        fill_soon,
        flags,
        load,
        new_bytes,
        put,
        resize_bytes,
        split,
        text,
        text_len,
    )
    from cython.cimports.pyrometer._core.native import created as created_at
    from cython.cimports.pyrometer._core.native import number as write_number
    from cython.cimports.pyrometer._core.snapshot_cy import Snapshot
else:
    from pyrometer._core import native
    from pyrometer._core.native import load
    from pyrometer._core.snapshot_cy import Snapshot

from pyrometer._core.layout import RECORD_HIDDEN

if cython.compiled:
    HIDDEN = cython.declare(cython.uint, RECORD_HIDDEN)
    PADDING = b"\0" * SPARE

VALUE = 0
"""Source of a line: a cell."""
CREATED = 1
"""Source of a line: the time of the series' making."""
BUCKET = 2
"""Source of a line: the sum of the bucket cells up to this one."""
COUNT = 3
"""Source of a line: the sum of all bucket cells."""
STATE = 4
"""Source of a line: 1 when the first cell holds the number in `cell`, else 0."""


def number(value: float, go: bool = False) -> bytes:
    """The text of a value: as Python's repr, an integer without `.0`; with `go` as prometheus_client writes it."""
    if cython.compiled:
        buffer: cython.char[64]
        end: cython.p_char = write_number(buffer, value, go)
        return buffer[: end - cython.cast(cython.p_char, buffer)]
    else:
        return native.number(value, go)


@cython.final
@cython.cclass
class Page:
    """Bytes in the making; `go` writes numbers as prometheus_client does."""

    __slots__ = ("go", "kept", "steps", "bound")

    def __init__(self, go: bool = False) -> None:
        self.go = go
        self.steps: list[tuple[Any, ...]] = []
        self.bound = 0

    def text(self, literal: bytes) -> None:
        """Add bytes as they are."""
        self.steps.append((literal,))
        self.bound += len(literal)

    def rows(
        self,
        snapshot: Snapshot,
        lines: list[tuple[bytes, bytes, bytes, int, int]],
        exemplars: dict[tuple[int, int], bytes] | None = None,
    ) -> None:
        """Add the series of a snapshot.

        For each series and each (head, extra, tail, source, cell) of `lines`: head, the label text with `extra` at the
        place where it sorts, tail, the number, and what `exemplars` has for (address of the series, cell).
        """
        n: cython.size_t = snapshot.count
        if n == 0:
            return
        kept = tuple(lines)
        examples = sorted(exemplars.items()) if exemplars else []
        self.steps.append((snapshot, kept, examples))
        if cython.compiled:
            for line in kept:
                self.bound += n * (len(line[0]) + len(line[1]) + len(line[2]) + NUMBER_MAX + 1) + snapshot.text_bytes
            for _, example in examples:
                self.bound += len(example)

    def finish(self) -> bytes:
        """The page."""
        if cython.compiled:
            return self._write()
        else:
            return b"".join([part for step in self.steps for part in self._parts(step)])

    if not cython.compiled:

        def _parts(self, step: tuple[Any, ...]) -> list[bytes]:
            if len(step) == 1:
                return [step[0]]
            snapshot, lines, examples = step
            exemplars = dict(examples)
            parts: list[bytes] = []
            for cell in snapshot.cell_list:
                record = native.record(cell)
                if record.flags & RECORD_HIDDEN:
                    continue
                before, after = record.text[: record.split], record.text[record.split :]
                total = 0.0
                for head, extra, tail, source, index in lines:
                    value = load(cell + 8 * index) if source in (VALUE, BUCKET) else 0.0
                    if source == BUCKET:
                        total += value
                        value = total
                    elif source == COUNT:
                        value = total
                    elif source == CREATED:
                        value = record.created
                    elif source == STATE:
                        value = float(load(cell) == index)
                    example = exemplars.get((cell, index), b"") if source in (VALUE, BUCKET) else b""
                    label_text = before + extra + after if extra else record.text
                    parts += [head, label_text, tail, native.number(value, self.go), example, b"\n"]
            return parts

    else:

        def _write(self) -> bytes:
            count: cython.Py_ssize_t = len(self.steps)
            i: cython.Py_ssize_t
            go: cython.bint = self.go
            out: cython.p_char
            end: cython.p_char
            raw: cython.pointer[PyObject]
            snapshot: Snapshot
            literal: bytes
            lines: _Lines
            keep: list = []
            steps: cython.pointer[Step] = cython.cast(cython.pointer[Step], malloc((count + 1) * cython.sizeof(Step)))
            if steps == cython.NULL:
                raise MemoryError
            try:
                for i in range(count):
                    step: tuple = self.steps[i]
                    steps[i].lines = cython.NULL
                    if len(step) == 1:
                        literal = step[0]
                        steps[i].literal = literal
                        steps[i].literal_size = len(literal)
                    else:
                        snapshot = step[0]
                        lines = _Lines(step[1], step[2])
                        keep.append(lines)
                        steps[i].rows = snapshot.rows
                        steps[i].count = snapshot.count
                        steps[i].lines = lines.at
                        steps[i].nlines = lines.count
                        steps[i].examples = lines.examples
                        steps[i].nexamples = lines.nexamples
                raw = new_bytes(cython.NULL, self.bound + SPARE)
                out = bytes_data(raw)
                end = out
                with cython.nogil:
                    fill_soon(out, self.bound + SPARE)
                    for i in range(count):
                        end = _write_step(end, cython.address(steps[i]), go)
                resize_bytes(cython.address(raw), end - out)
                page = cython.cast(bytes, cython.cast(object, raw))
                drop(raw)
                return page
            finally:
                free(steps)


if cython.compiled:

    @cython.final
    @cython.cclass
    class _Lines:
        """The lines of a step as C sees them."""

        at: cython.pointer[Line]
        count: cython.size_t
        examples: cython.pointer[Example]
        nexamples: cython.size_t
        kept: tuple

        def __init__(self, lines: tuple, ordered: list) -> None:
            i: cython.Py_ssize_t = 0
            padded: list = []
            self.kept = (padded, ordered)
            self.count = len(lines)
            self.at = cython.cast(cython.pointer[Line], malloc((len(lines) + 1) * cython.sizeof(Line)))
            self.examples = cython.cast(cython.pointer[Example], malloc((len(ordered) + 1) * cython.sizeof(Example)))
            if self.at == cython.NULL or self.examples == cython.NULL:
                raise MemoryError
            self.nexamples = len(ordered)
            for (cell, index), example in ordered:
                example_bytes: bytes = example
                self.examples[i].cell = cell
                self.examples[i].index = index
                self.examples[i].text = example_bytes
                self.examples[i].size = len(example_bytes)
                i += 1
            i = 0
            for head, extra, tail, source, cell in lines:
                head_bytes: bytes = head + PADDING
                extra_bytes: bytes = extra + PADDING
                tail_bytes: bytes = tail + PADDING
                padded += [head_bytes, extra_bytes, tail_bytes]
                self.at[i].head = head_bytes
                self.at[i].head_size = len(head)
                self.at[i].extra = extra_bytes
                self.at[i].extra_size = len(extra)
                self.at[i].tail = tail_bytes
                self.at[i].tail_size = len(tail)
                self.at[i].source = source
                self.at[i].cell = 8 * cython.cast(cython.size_t, cell)
                self.at[i].state = cell
                i += 1

        def __dealloc__(self):
            free(self.at)
            free(self.examples)

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(check=False)
    def _write_line(
        end: cython.p_char,
        line: cython.pointer[Line],
        cell: cython.size_t,
        total: cython.pointer[cython.double],
        go: cython.bint,
    ) -> cython.p_char:
        value: cython.double
        at: cython.size_t
        end = put(end, line.head, line.head_size)
        if line.extra_size:
            at = split(cell)
            end = put(end, text(cell), at)
            end = put(end, line.extra, line.extra_size)
            end = put(end, text(cell) + at, text_len(cell) - at)
        else:
            end = put(end, text(cell), text_len(cell))
        end = put(end, line.tail, line.tail_size)
        if line.source == 0:
            value = load(cell + line.cell)
        elif line.source == 2:
            total[0] += load(cell + line.cell)
            value = total[0]
        elif line.source == 3:
            value = total[0]
        elif line.source == 1:
            value = load(created_at(cell))
        else:
            value = 1.0 if load(cell) == line.state else 0.0
        return write_number(end, value, go)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _example(step: cython.pointer[Step], cell: cython.size_t, index: cython.size_t) -> cython.pointer[Example]:
        """The exemplar of a cell, found by halving; NULL without one."""
        low: cython.size_t = 0
        high: cython.size_t = step.nexamples
        middle: cython.size_t
        while low < high:
            middle = (low + high) // 2
            if step.examples[middle].cell < cell or (
                step.examples[middle].cell == cell and step.examples[middle].index < index
            ):
                low = middle + 1
            else:
                high = middle
        if low < step.nexamples and step.examples[low].cell == cell and step.examples[low].index == index:
            return cython.address(step.examples[low])
        return cython.NULL

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _write_step(end: cython.p_char, step: cython.pointer[Step], go: cython.bint) -> cython.p_char:
        i: cython.Py_ssize_t
        j: cython.size_t
        total: cython.double
        example: cython.pointer[Example]
        if step.lines == cython.NULL:
            memcpy(end, step.literal, step.literal_size)
            return end + step.literal_size
        for i in range(step.count):
            if flags(step.rows[i]) & HIDDEN:
                continue
            total = 0.0
            for j in range(step.nlines):
                end = _write_line(end, cython.address(step.lines[j]), step.rows[i], cython.address(total), go)
                if step.nexamples and (step.lines[j].source == 0 or step.lines[j].source == 2):
                    example = _example(step, step.rows[i], step.lines[j].cell // 8)
                    if example != cython.NULL:
                        memcpy(end, example.text, example.size)
                        end += example.size
                end[0] = 10
                end += 1
        return end
