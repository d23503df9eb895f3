from pyrometer._core.arena_cy cimport Arena
from pyrometer._core.native cimport pyro_bytes
from pyrometer._core.table_cy cimport Table


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
    cdef readonly Table table
    cdef Py_ssize_t spilled

    cdef double* bounds
    cdef size_t nbounds
    cdef Py_ssize_t nlabels
    cdef int[8] sorted_labels
    cdef pyro_bytes[8] spans


cdef class MetricBase:
    cdef size_t cell
    cdef readonly Family _family
    cdef size_t cell_of(self) except 0
