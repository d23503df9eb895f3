"""The chunks of an arena: room for records, by size.

A chunk is cut into records of one size. Chunks that have room stand in a list for each size; one that is empty gives
its memory back, but for the first few. All of it is called with the arena's lock held. Whoever dies in here leaves
descriptions that contradict one another: `rebuild` makes them anew from the records, whose flags are the truth.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrometer._core import _cython as cython
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython

if cython.compiled:
    from cython.cimports.libc.stdint import uint16_t, uint32_t
    from cython.cimports.libc.string import memset
    from cython.cimports.pyrometer._core.memory_cy import give_back, populate
    from cython.cimports.pyrometer._core.native import HEAD, SPARE, head_of, set_word, word

    from pyrometer._core import layout

    Chunk = cython.struct(size=uint32_t, live=uint16_t, used=uint16_t, free=uint32_t, next=uint32_t)

    AT_SIZE = cython.declare(cython.size_t, layout.AT_SIZE)
    AT_TOP = cython.declare(cython.size_t, layout.AT_TOP)
    AT_LIMBO = cython.declare(cython.size_t, layout.AT_LIMBO)
    AT_LIMBO_COUNT = cython.declare(cython.size_t, layout.AT_LIMBO_COUNT)
    AT_RESERVE = cython.declare(cython.size_t, layout.AT_RESERVE)
    AT_SPARE = cython.declare(cython.size_t, layout.AT_SPARE)
    AT_HEAD = cython.declare(cython.size_t, layout.AT_HEAD)
    RING_COUNT = cython.declare(cython.size_t, layout.RING_COUNT)
    AT_IDLE = cython.declare(cython.size_t, layout.AT_IDLE)
    AT_FILE = cython.declare(cython.size_t, layout.AT_FILE)
    AT_PARTIAL = cython.declare(cython.size_t, layout.AT_PARTIAL)
    CHUNKS = cython.declare(cython.size_t, layout.CHUNKS)
    CHUNK = cython.declare(cython.size_t, layout.CHUNK)
    FIRST = cython.declare(cython.size_t, layout.FIRST)
    REST = cython.declare(uint32_t, layout.REST)
    LIVE = cython.declare(uint32_t, layout.RECORD_LIVE)
    REMOVED = cython.declare(uint32_t, layout.RECORD_REMOVED)
    LONG = cython.declare(cython.size_t, layout.CHUNK // 2)
    IDLE_KEPT = cython.declare(cython.size_t, 64)

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(check=False)
    def _chunk(at: cython.size_t, number: cython.size_t) -> cython.pointer[Chunk]:
        return cython.cast(cython.pointer[Chunk], at + CHUNKS) + number

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(check=False)
    def _partial(at: cython.size_t, index: cython.size_t) -> cython.pointer[uint32_t]:
        return cython.cast(cython.pointer[uint32_t], at + AT_PARTIAL) + index

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _size_class(size: cython.pointer[cython.size_t]) -> cython.size_t:
        """The list for records of this size; a size above 512 bytes is rounded up, by an eighth at most."""
        index: cython.size_t = 64
        step: cython.size_t = 64
        if size[0] < 512:
            return size[0] // 8
        while size[0] > 16 * step:
            step *= 2
            index += 8
        size[0] = (size[0] + step - 1) // step * step
        return index + size[0] // step - 8

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def capacity_of(size: cython.size_t) -> cython.size_t:
        """Records of this size in a chunk; pages are written sixteen bytes at a time, which may read past the last."""
        return (CHUNK - SPARE) // size

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def allocate(at: cython.size_t, size: cython.size_t, urgent: cython.bint) -> cython.size_t:
        """The offset of room for a record of at least so many bytes, whose head has its size; 0 when it is full.

        What is urgent may use the chunks that are kept for it.
        """
        index: cython.size_t = _size_class(cython.address(size))
        number: cython.size_t
        offset: cython.size_t
        chunk: cython.pointer[Chunk]
        if size > LONG:
            return _allocate_long(at, size)
        number = _partial(at, index)[0]
        if number == 0:
            number = _fresh(at, 1)
            if number and word(at + AT_FILE) and not populate(at + number * CHUNK, CHUNK):
                set_word(at + AT_SPARE, word(at + AT_SPARE) + 1)
                number = 0
            if number == 0 and urgent and word(at + AT_RESERVE):
                set_word(at + AT_RESERVE, word(at + AT_RESERVE) - 1)
                number = FIRST + word(at + AT_RESERVE)
            if number == 0:
                return 0
            chunk = _chunk(at, number)
            chunk.live = chunk.used = 0
            chunk.free = 0
            chunk.next = 0
            chunk.size = size
            _partial(at, index)[0] = number
        chunk = _chunk(at, number)
        if chunk.used and not chunk.live:
            set_word(at + AT_IDLE, word(at + AT_IDLE) - 1)
        if chunk.free:
            offset = 8 * cython.cast(cython.size_t, chunk.free)
            chunk.free = head_of(at + offset + HEAD).link
        else:
            if chunk.used == 0 and word(at + AT_FILE) and not populate(at + number * CHUNK, CHUNK):
                return 0
            offset = number * CHUNK + chunk.used * size
            head_of(at + offset + HEAD).flags = 0
            chunk.used += 1
        chunk.live += 1
        if chunk.live == capacity_of(size):
            _partial(at, index)[0] = chunk.next
            chunk.next = 0
        head_of(at + offset + HEAD).size = size
        return offset

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def release(at: cython.size_t, offset: cython.size_t) -> cython.void:
        """Take the room of a record back; it is not live any more."""
        number: cython.size_t = offset // CHUNK
        chunk: cython.pointer[Chunk] = _chunk(at, number)
        head = head_of(at + offset + HEAD)
        size: cython.size_t = chunk.size
        index: cython.size_t
        head.flags = 0
        if size > LONG:
            _release_long(at, number)
            return
        index = _size_class(cython.address(size))
        head.link = chunk.free
        chunk.free = offset // 8
        if chunk.live == capacity_of(size):
            chunk.next = _partial(at, index)[0]
            _partial(at, index)[0] = number
        chunk.live -= 1
        if chunk.live == 0:
            if word(at + AT_IDLE) < IDLE_KEPT:
                set_word(at + AT_IDLE, word(at + AT_IDLE) + 1)
            else:
                chunk.used = 0
                chunk.free = 0
                give_back(at + number * CHUNK, CHUNK)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def is_used(at: cython.size_t, offset: cython.size_t) -> cython.bint:
        """Whether there is memory for a record at this offset: reading what was given back would bring it back."""
        chunk: cython.pointer[Chunk] = _chunk(at, offset // CHUNK)
        return (
            chunk.size != 0
            and chunk.size != REST
            and offset % CHUNK < cython.cast(cython.size_t, chunk.used) * chunk.size
        )

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def trim(at: cython.size_t) -> cython.void:
        """Have empty chunks that have kept their memory give it back."""
        number: cython.size_t
        chunk: cython.pointer[Chunk]
        if word(at + AT_IDLE) == 0:
            return
        for number in range(FIRST + word(at + AT_RESERVE), word(at + AT_TOP)):
            chunk = _chunk(at, number)
            if chunk.size and chunk.size <= LONG and chunk.used and not chunk.live:
                chunk.used = 0
                chunk.free = 0
                give_back(at + number * CHUNK, CHUNK)
        set_word(at + AT_IDLE, 0)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _fresh(at: cython.size_t, n: cython.size_t) -> cython.size_t:
        """The first of n chunks in a row that have no size; 0 when there are none."""
        number: cython.size_t = word(at + AT_TOP)
        run: cython.size_t = 0
        i: cython.size_t
        limit: cython.size_t = word(at + AT_SIZE) // CHUNK
        if word(at + AT_SPARE) >= n:
            for i in range(FIRST + word(at + AT_RESERVE), number):
                run = run + 1 if _chunk(at, i).size == 0 else 0
                if run == n:
                    set_word(at + AT_SPARE, word(at + AT_SPARE) - n)
                    return i + 1 - n
            run = 0
        if number + n <= limit:
            if word(at + AT_FILE):
                for i in range(number, number + n):
                    # Their descriptions may lie on a page that nobody touched before.
                    if (i == FIRST or CHUNKS + i * cython.sizeof(Chunk) & 4095 == 0) and not populate(
                        cython.cast(cython.size_t, _chunk(at, i)), 4096 - (CHUNKS + i * cython.sizeof(Chunk) & 4095)
                    ):
                        return 0
            for i in range(number, number + n):
                _chunk(at, i).size = 0
            set_word(at + AT_TOP, number + n)
            return number
        rebuild(at)
        for i in range(FIRST + word(at + AT_RESERVE), word(at + AT_TOP)):
            run = run + 1 if _chunk(at, i).size == 0 else 0
            if run == n:
                set_word(at + AT_SPARE, word(at + AT_SPARE) - n)
                return i + 1 - n
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _allocate_long(at: cython.size_t, size: cython.size_t) -> cython.size_t:
        n: cython.size_t = (size + SPARE + CHUNK - 1) // CHUNK
        number: cython.size_t = _fresh(at, n)
        i: cython.size_t
        if number == 0 or (word(at + AT_FILE) and not populate(at + number * CHUNK, n * CHUNK)):
            return 0
        for i in range(number + 1, number + n):
            _chunk(at, i).size = REST
        head_of(at + number * CHUNK + HEAD).flags = 0
        head_of(at + number * CHUNK + HEAD).size = size
        _chunk(at, number).live = _chunk(at, number).used = 1
        _chunk(at, number).size = size
        return number * CHUNK

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _release_long(at: cython.size_t, number: cython.size_t) -> cython.void:
        n: cython.size_t = (_chunk(at, number).size + SPARE + CHUNK - 1) // CHUNK
        i: cython.size_t
        for i in range(number, number + n):
            _chunk(at, i).size = 0
        set_word(at + AT_SPARE, word(at + AT_SPARE) + n)
        give_back(at + number * CHUNK, n * CHUNK)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def next_record(
        at: cython.size_t, number: cython.pointer[cython.size_t], place: cython.pointer[cython.size_t]
    ) -> cython.size_t:
        """The offsets of records one after the other, finished or not; 0 at the end. They begin at FIRST and 0.

        Without the lock, chunks may change meanwhile: what is found has to be looked at twice.
        """
        chunk: cython.pointer[Chunk]
        offset: cython.size_t
        while number[0] < word(at + AT_TOP) and number[0] < word(at + AT_SIZE) // CHUNK:
            chunk = _chunk(at, number[0])
            if chunk.size and chunk.size != REST and place[0] < chunk.used:
                offset = number[0] * CHUNK + place[0] * chunk.size
                if offset % 8 == 0 and offset + HEAD <= (number[0] + 1) * CHUNK:
                    place[0] += 1
                    return offset
            number[0] += 1
            place[0] = 0
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def rebuild(at: cython.size_t) -> cython.void:
        """Make lists, counts and the limbo anew from the records; chunks without a live one lose size and memory."""
        number: cython.size_t
        end: cython.size_t
        offset: cython.size_t
        i: cython.size_t
        index: cython.size_t
        size: cython.size_t
        limbo: cython.size_t = 0
        waiting: cython.size_t = 0
        spare: cython.size_t = 0
        owned: cython.size_t = 0  # chunks below this number belong to a long record
        chunk: cython.pointer[Chunk]
        memset(cython.cast(cython.p_void, at + AT_PARTIAL), 0, 256 * cython.sizeof(uint32_t))
        end = word(at + AT_TOP)
        for number in range(FIRST + word(at + AT_RESERVE), end):
            chunk = _chunk(at, number)
            size = chunk.size
            if number < owned:
                continue
            if size == 0:
                spare += 1
                continue
            if size == REST:
                chunk.size = 0
                spare += 1
                continue
            chunk.live = 0
            chunk.free = 0
            chunk.next = 0
            for i in range(chunk.used):
                offset = number * CHUNK + i * size
                head = head_of(at + offset + HEAD)
                if not head.flags & LIVE:
                    head.flags = 0
                    head.link = chunk.free
                    chunk.free = offset // 8
                    continue
                chunk.live += 1
                if not head.flags & REMOVED:
                    head.removed = 0  # whoever was about to remove it died
                if head.flags & REMOVED:
                    if head.removed == 0:  # it was to be told of later: the next event is after all that were
                        head.removed = word(at + AT_HEAD) + RING_COUNT + 1
                    head.link = limbo
                    limbo = offset // 8
                    waiting += 1
            if chunk.live == 0:
                chunk.used = 0
                chunk.size = 0
                chunk.free = 0
                spare += 1
                give_back(at + number * CHUNK, CHUNK if size <= LONG else (size + SPARE + CHUNK - 1) // CHUNK * CHUNK)
            elif size > LONG:
                owned = number + (size + SPARE + CHUNK - 1) // CHUNK
            elif chunk.live < capacity_of(size):
                index = _size_class(cython.address(size))
                chunk.next = _partial(at, index)[0]
                _partial(at, index)[0] = number
        set_word(at + AT_IDLE, 0)
        set_word(at + AT_LIMBO, limbo)
        set_word(at + AT_LIMBO_COUNT, waiting)
        set_word(at + AT_SPARE, spare)
