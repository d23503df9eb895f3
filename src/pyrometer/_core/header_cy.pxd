cdef void begin(size_t at, size_t size) noexcept
