from libc.stdint cimport uint32_t

from pyrometer._core.native cimport pyro_bytes


cdef struct Slot:
    uint32_t hash
    uint32_t row


cdef class Table:
    cdef readonly Py_ssize_t live
    cdef size_t text_bytes
    cdef list children

    cdef Slot* slots
    cdef size_t mask
    cdef size_t used
    cdef size_t* rows
    cdef Py_ssize_t count
    cdef Py_ssize_t room

    cdef Py_ssize_t find(self, pyro_bytes* literals, pyro_bytes* values, int* order, Py_ssize_t n, uint32_t hash) noexcept
    cdef Py_ssize_t _find_text(self, bytes label_text, uint32_t hash) noexcept
    cdef void _place(self, uint32_t hash, size_t row) noexcept
    cdef int _compact(self) except -1
    cdef int _grow_slots(self) except -1
    cdef int _grow_rows(self) except -1
