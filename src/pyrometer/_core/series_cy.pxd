from libc.stdint cimport uint32_t
from pyrometer._core.arena_cy cimport Arena
from pyrometer._core.native cimport pyro_bytes
from pyrometer._core.table_cy cimport Table


cdef class Series:
    cdef readonly str kind
    cdef readonly str name
    cdef readonly str documentation
    cdef readonly str unit
    cdef readonly tuple labelnames
    cdef readonly tuple lines
    cdef readonly str extra_label
    cdef readonly Arena arena
    cdef readonly size_t cells
    cdef readonly str mode
    cdef readonly bint parts
    cdef public object max_series
    cdef public object on_overflow
    cdef public dict functions
    cdef public bint read_only
    cdef public object definition
    cdef readonly dict kept
    cdef readonly dict notes
    cdef readonly dict others
    cdef readonly size_t offset
    cdef readonly bint enrolled
    cdef object pending
    cdef list waiting
    cdef object left
    cdef dict last_read
    cdef tuple order
    cdef tuple literals
    cdef readonly Table table

    cdef double* bounds
    cdef size_t nbounds
    cdef size_t forks
    cdef int maker
    cdef bytes overflow_text
    cdef double* _owner(self, double* values) noexcept
    cdef Py_ssize_t nlabels
    cdef int[8] sorted_labels
    cdef size_t _outside(self, const char* label_text, size_t length, uint32_t record_flags, size_t split) except 0
    cdef bint _is_full(self) noexcept
