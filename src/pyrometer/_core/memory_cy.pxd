cdef size_t usable(size_t size) noexcept
cdef size_t map_file(int file, size_t size) noexcept
cdef size_t map_unnamed(size_t* size, bint private) noexcept
cdef void unmap(size_t at, size_t size) noexcept nogil
cdef bint populate(size_t at, size_t size) noexcept nogil
cdef void give_back(size_t at, size_t size) noexcept nogil
