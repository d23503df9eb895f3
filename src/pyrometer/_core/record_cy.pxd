from libc.stdint cimport uint32_t

cdef size_t size_of(size_t cells, size_t length) noexcept nogil
cdef void fill(size_t cell, size_t cells, const char* label_text, size_t length, uint32_t record_flags, size_t split, double created) noexcept nogil
cdef size_t new_private(size_t cells, const char* label_text, size_t length, uint32_t record_flags, size_t split, double created) noexcept nogil
cdef size_t private_copy(size_t cell) noexcept nogil
cdef void clear_private(size_t cell) noexcept nogil
cdef void free_private(size_t cell) noexcept nogil
