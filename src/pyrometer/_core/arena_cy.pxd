from libc.stdint cimport uint32_t


cdef class Arena:
    cdef size_t at
    cdef size_t size
    cdef size_t busy
    cdef size_t forks
    cdef size_t watermark
    cdef size_t readers
    cdef size_t* limbo
    cdef size_t limbo_used
    cdef size_t limbo_room
    cdef size_t[256] free

    cdef size_t allocate(self, size_t cells, const char* label_text, size_t length, uint32_t record_flags, size_t split, double created) except 0
    cdef void release(self, size_t cell) noexcept
    cdef void _forked(self) noexcept nogil
    cdef size_t enter(self) noexcept
    cdef void leave(self, size_t entered) noexcept
