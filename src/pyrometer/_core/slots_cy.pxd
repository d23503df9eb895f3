cdef struct Attachment:
    size_t at           # the arena
    size_t slot         # address of this process's slot in it; 0 where there was none left
    size_t forked       # how many forks of this process are to take slots of their own
    size_t knows        # what its slot says
    size_t acked
    bint private        # memory of this process alone, which a fork copies
    size_t** handles    # cells of children that count for this process alone: a fork takes them from the child
    size_t handle_count
    size_t handle_room
    size_t* alone       # private records that are to be moved into the arena: a fork's begin at zero
    size_t alone_count
    size_t alone_room
    Attachment* next


cdef size_t fork_count() noexcept nogil
cdef bint is_quiet(Attachment* attachment) noexcept nogil
cdef Attachment* attach(size_t at, bint private) noexcept nogil
cdef void detach(Attachment* attachment) noexcept nogil
cdef bint add_alone(Attachment* attachment, size_t cell) noexcept nogil
cdef void drop_alone(Attachment* attachment, size_t cell) noexcept nogil
cdef bint add_handle(Attachment* attachment, size_t* handle) noexcept nogil
cdef void drop_handle(Attachment* attachment, size_t* handle) noexcept nogil
cdef void keep_values(size_t at, size_t slot) noexcept nogil
cdef void free_slot(size_t slot) noexcept nogil
cdef bint is_alive(size_t slot) noexcept nogil
cdef size_t slot_at(size_t at, size_t number) noexcept nogil
cdef size_t start_of(size_t pid) noexcept nogil
cdef size_t own_namespace() noexcept nogil
