from libc.stdint cimport uint32_t, uint64_t
from pyrometer._core.native cimport pyro_bytes


cdef struct Slot:
    uint32_t hash
    uint32_t row


cdef class Child:
    cdef size_t cell


cdef class Table:
    cdef object __weakref__
    cdef readonly Py_ssize_t live
    cdef size_t text_bytes
    cdef list children
    cdef tuple kept
    cdef pyro_bytes* literals
    cdef Py_ssize_t nvalues
    cdef uint64_t secret
    cdef uint64_t last_made
    cdef bint unsorted

    cdef Slot* slots
    cdef size_t mask
    cdef size_t used
    cdef size_t* rows
    cdef Py_ssize_t count
    cdef Py_ssize_t room

    cdef Py_ssize_t find(self, pyro_bytes* values, int* order, Py_ssize_t n) noexcept
    cdef uint32_t hash_of(self, const char* label_text, size_t length, bint escaped) noexcept
    cdef Py_ssize_t find_text(self, const char* label_text, size_t length, uint32_t hash) noexcept
    cdef Py_ssize_t append(self, size_t cell, object child) except -1
    cdef int adopt(self, size_t cell) except -1
    cdef object drop(self, size_t cell)
    cdef list drop_removed(self)
    cdef int tidy(self) except -1

    cdef Py_ssize_t row_of(self, size_t cell) noexcept
    cdef Py_ssize_t other_of(self, size_t cell) noexcept
    cdef Py_ssize_t _slot_of(self, size_t cell) noexcept
    cdef void _place(self, uint32_t hash, size_t row) noexcept
    cdef int _compact(self) except -1
    cdef int _sort(self) except -1
    cdef int _grow_slots(self) except -1
    cdef int _grow_rows(self) except -1
