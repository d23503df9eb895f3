cdef size_t allocate(size_t at, size_t size, bint urgent) noexcept nogil
cdef void release(size_t at, size_t offset) noexcept nogil
cdef bint is_used(size_t at, size_t offset) noexcept nogil
cdef void trim(size_t at) noexcept nogil
cdef void rebuild(size_t at) noexcept nogil
cdef size_t capacity_of(size_t size) noexcept nogil
cdef size_t next_record(size_t at, size_t* number, size_t* place) noexcept nogil
