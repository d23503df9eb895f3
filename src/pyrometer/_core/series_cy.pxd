from libc.stdint cimport uint32_t

from pyrometer._core.arena_cy cimport Arena
from pyrometer._core.native cimport pyro_bytes


cdef struct Slot:
    uint32_t hash
    uint32_t row


cdef class Family:
    cdef readonly str kind
    cdef readonly str name
    cdef readonly str documentation
    cdef readonly str unit
    cdef readonly tuple labelnames
    cdef readonly tuple lines
    cdef readonly str extra_label
    cdef readonly Arena arena
    cdef readonly size_t cells
    cdef readonly object max_series
    cdef public object on_overflow
    cdef public dict functions
    cdef public dict exemplars
    cdef public bint read_only
    cdef public dict infos
    cdef public object definition
    cdef readonly dict kept
    cdef tuple order
    cdef tuple literals
    cdef readonly Py_ssize_t live
    cdef Py_ssize_t spilled

    cdef double* bounds
    cdef size_t nbounds
    cdef Py_ssize_t nlabels
    cdef int[8] sorted_labels
    cdef pyro_bytes[9] spans
    cdef Slot* slots
    cdef size_t mask
    cdef size_t used
    cdef size_t* rows
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef size_t text_bytes
    cdef list children
    cdef dict index

    cdef Py_ssize_t find(self, pyro_bytes* values, uint32_t hash) noexcept
    cdef Py_ssize_t find_text(self, bytes label_text, uint32_t hash) noexcept
    cdef MetricBase insert(self, bytes label_text, uint32_t hash, uint32_t flags, size_t split, double created, MetricBase child)
    cdef int place(self, uint32_t hash, size_t row) noexcept
    cdef int grow_slots(self) except -1
    cdef int compact(self) except -1


cdef class MetricBase:
    cdef size_t cell
    cdef readonly Family _family
    cdef size_t cell_of(self) except 0
