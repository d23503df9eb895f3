cdef extern from "shared.h":
    int take_lock "pyro_lock"(size_t at, long milliseconds) noexcept nogil
    void drop_lock "pyro_unlock"(size_t at) noexcept nogil
    void make_lock "pyro_make_lock"(size_t at) noexcept nogil
    void guard "pyro_guard"(size_t at, size_t size) noexcept nogil
    size_t lost_pages "pyro_lost_pages"() noexcept nogil
