from pyrometer._core.slots_cy cimport Attachment


cdef class Attached:
    cdef readonly size_t at
    cdef readonly size_t size
    cdef readonly bint named
    cdef readonly bint private
    cdef Attachment* attachment
    cdef double blocked_until

    cdef size_t magic
    cdef size_t lost_before

    cdef bint is_broken(self) noexcept
    cdef bint lock(self, long patience=*)
    cdef void unlock(self) noexcept
    cdef size_t secret(self) noexcept
