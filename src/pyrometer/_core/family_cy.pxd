from pyrometer._core.series_cy cimport Series


cdef class Family(Series):
    pass
