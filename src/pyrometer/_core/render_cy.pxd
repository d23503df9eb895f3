cdef struct Line:
    const char* head
    size_t head_size
    const char* extra
    size_t extra_size
    const char* tail
    size_t tail_size
    int source
    size_t cell
    double state


cdef struct Example:
    size_t cell
    size_t index
    const char* text
    size_t size


cdef struct Step:
    const char* literal
    size_t literal_size
    size_t* rows
    Py_ssize_t count
    Line* lines
    size_t nlines
    Example* examples
    size_t nexamples


cdef class Page:
    cdef list kept
    cdef list steps
    cdef size_t bound
    cdef readonly bint go
