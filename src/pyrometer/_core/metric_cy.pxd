from pyrometer._core.family_cy cimport Family
from pyrometer._core.table_cy cimport Child


cdef class MetricBase(Child):
    cdef readonly Family _family
    cdef size_t cell_of(self) except 0
