from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t


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
        uint32_t family
        uint32_t link
        double created
        uint64_t made
        uint64_t removed
    pyro_head* head_of "pyro_head_of"(size_t cell) noexcept nogil
    uint32_t flags "pyro_flags"(size_t cell) noexcept nogil
    void raise_flags "pyro_raise"(size_t cell, uint32_t flags) noexcept nogil
    void lower_flags "pyro_lower"(size_t cell, uint32_t flags) noexcept nogil
    uint32_t split "pyro_split"(size_t cell) noexcept nogil
    size_t created "pyro_created"(size_t cell) noexcept nogil
    size_t text_len "pyro_text_len"(size_t cell) noexcept nogil
    char* text "pyro_text"(size_t cell) noexcept nogil

    size_t word "pyro_word"(size_t at) noexcept nogil
    void set_word "pyro_set_word"(size_t at, size_t value) noexcept nogil
    bint swap_word "pyro_swap_word"(size_t at, size_t before, size_t after) noexcept nogil
    void add_word "pyro_add_word"(size_t at, size_t n) noexcept nogil
    double exchange "pyro_exchange"(size_t cell, double value) noexcept nogil
    void fence "pyro_fence"() noexcept nogil
    void fill_soon "pyro_fill_soon"(char* at, size_t size) noexcept nogil

    bint utf8 "pyro_utf8"(PyObject* value, pyro_bytes* out) noexcept
    uint64_t mix "pyro_mix"(uint64_t hash, const char* data, size_t n) noexcept nogil
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
    PyObject** list_items "PySequence_Fast_ITEMS"(object items) noexcept
    char* bytes_data "PyBytes_AS_STRING"(PyObject* data) noexcept
    void drop "Py_DECREF"(PyObject* thing) noexcept


cdef extern from "<pthread.h>":
    int pthread_atfork(void (*prepare)() noexcept nogil, void (*parent)() noexcept nogil, void (*child)() noexcept nogil) noexcept nogil
