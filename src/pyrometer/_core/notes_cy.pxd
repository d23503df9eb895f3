cdef bint write_note(size_t note, bytes data, double value, double stamp) noexcept
cdef object read_note(size_t note)
