from pyrometer._core.family_cy cimport Family


cdef class Snapshot:
    cdef readonly Family family
    cdef readonly Py_ssize_t count
    cdef size_t* rows
    cdef size_t text_bytes
    cdef size_t entered
    cdef bint reading
    cdef list cell_list
    cdef readonly dict notes
