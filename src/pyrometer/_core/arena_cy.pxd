from libc.stdint cimport uint32_t
from pyrometer._core.attached_cy cimport Attached
from pyrometer._core.table_cy cimport Table


cdef class Arena(Attached):
    cdef size_t known
    cdef bint stale
    cdef bint reading
    cdef size_t forks
    cdef size_t[2] readers
    cdef size_t[2] floors
    cdef int current
    cdef readonly dict tables
    cdef readonly dict families
    cdef readonly dict definitions
    cdef public list parked
    cdef public object path
    cdef list news
    cdef size_t news_floor
    cdef list dropped

    cdef public bint settling
    cdef public double settle_after
    cdef bint warned
    cdef int hearing
    cdef size_t left
    cdef readonly object local
    cdef public long revision
    cdef bint is_current(self) noexcept
    cdef bint has_news(self) noexcept
    cdef int catch_up(self) except -1
    cdef size_t make(self, uint32_t record_flags, size_t family, size_t cells, const char* label_text, size_t length, size_t split, double created, double* values=*, bint urgent=*) noexcept
    cdef void remove(self, size_t cell) noexcept
    cdef size_t enter(self) noexcept
    cdef void leave(self, size_t entered) noexcept

    cdef int _event(self, size_t event, size_t number) except -1
    cdef Table _table_of(self, uint32_t family)
    cdef int _take(self, size_t offset) except -1
    cdef int _resync(self, size_t head) except -1
    cdef void _acknowledge(self) noexcept
    cdef void _commit(self, size_t cell, size_t event) noexcept
    cdef void _reclaim(self) noexcept
    cdef void _forked(self) noexcept
