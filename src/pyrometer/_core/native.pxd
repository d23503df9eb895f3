from cpython.object cimport PyObject
from libc.stdint cimport uint32_t


cdef extern from "native.h":
    ctypedef struct pyro_bytes:
        const char* data
        size_t size

    double load "pyro_load"(size_t cell) noexcept nogil
    void store "pyro_store"(size_t cell, double value) noexcept nogil
    void add "pyro_add"(size_t cell, double amount) noexcept nogil
    size_t bucket_of "pyro_bucket"(const double* bounds, size_t n, double x) noexcept nogil

    size_t HEAD "sizeof(pyro_head)"
    ctypedef struct pyro_head:
        uint32_t size
        uint32_t text
        uint32_t flags
        uint32_t split
        double created
    pyro_head* head_of "pyro_head_of"(size_t cell) noexcept nogil
    uint32_t flags "pyro_flags"(size_t cell) noexcept nogil
    void raise_flags "pyro_raise"(size_t cell, uint32_t flags) noexcept nogil
    void lower_flags "pyro_lower"(size_t cell, uint32_t flags) noexcept nogil
    uint32_t split "pyro_split"(size_t cell) noexcept nogil
    size_t created "pyro_created"(size_t cell) noexcept nogil
    size_t text_len "pyro_text_len"(size_t cell) noexcept nogil
    char* text "pyro_text"(size_t cell) noexcept nogil

    size_t map_memory "pyro_map"(size_t* size) noexcept nogil
    void unmap_memory "pyro_unmap"(size_t at, size_t size) noexcept nogil
    void fill_soon "pyro_fill_soon"(char* at, size_t size) noexcept nogil
    size_t take "pyro_take"(size_t at, size_t n, size_t limit) noexcept nogil
    size_t word "pyro_word"(size_t at) noexcept nogil
    void set_word "pyro_set_word"(size_t at, size_t value) noexcept nogil
    void watch_forks "pyro_watch_forks"() noexcept nogil
    size_t fork_count "pyro_fork_count"() noexcept nogil
    void spin_lock "pyro_spin_lock"(size_t* word) noexcept nogil
    void spin_unlock "pyro_spin_unlock"(size_t* word) noexcept nogil

    bint utf8 "pyro_utf8"(PyObject* value, pyro_bytes* out, uint32_t* hash) noexcept
    ctypedef struct PyMethodDef:
        pass
    int install "pyro_install"(object type, PyMethodDef* definition, const char* name, void* body, const char* doc) except -1

    int real "pyro_real"(object given, double* value) except -1
    object own_method "pyro_own_method"(object type, object method)

    size_t SPARE "PYRO_SPARE"
    char* put "pyro_put"(char* out, const char* data, size_t n) noexcept nogil

    int NUMBER_MAX "PYRO_NUMBER_MAX"
    char* number "pyro_number"(char* out, double v, bint go) noexcept nogil


cdef extern from "Python.h":
    PyObject* tuple_item "PyTuple_GET_ITEM"(PyObject* items, Py_ssize_t i) noexcept
    Py_ssize_t tuple_size "PyTuple_GET_SIZE"(PyObject* items) noexcept
    PyObject* new_bytes "PyBytes_FromStringAndSize"(const char* data, Py_ssize_t size) except NULL
    int resize_bytes "_PyBytes_Resize"(PyObject** data, Py_ssize_t size) except -1
    char* bytes_data "PyBytes_AS_STRING"(PyObject* data) noexcept
    void drop "Py_DECREF"(PyObject* thing) noexcept
