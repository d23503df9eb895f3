/* What Python cannot say: an atomic add, a method with the vectorcall convention, and the text of a number; locks and lost
 * pages of shared memory are in shared.h. Everything else of the core is Python; native.py is this header's twin for the interpreted core. */
#ifndef PYROMETER_NATIVE_H
#define PYROMETER_NATIVE_H

#include <Python.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/mman.h>

/* ---- cells: float64 values that several threads and processes change at once ---------------------------------- */

static inline double pyro_load(size_t cell) {
    uint64_t bits = __atomic_load_n((uint64_t *)cell, __ATOMIC_RELAXED);
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

static inline void pyro_store(size_t cell, double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    __atomic_store_n((uint64_t *)cell, bits, __ATOMIC_RELAXED);
}

static inline void pyro_add(size_t cell, double amount) {
    uint64_t *word = (uint64_t *)cell, before = __atomic_load_n(word, __ATOMIC_RELAXED), after;
    double value;
    do {
        memcpy(&value, &before, 8);
        value += amount;
        memcpy(&after, &value, 8);
    } while (!__atomic_compare_exchange_n(word, &before, after, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

/* The number of `bounds` below x: the bucket of x. No branch depends on x, so every bucket costs the same. */
static inline size_t pyro_bucket(const double *bounds, size_t n, double x) {
    size_t below = 0;
    while (n > 16) {
        size_t half = n / 2;
        size_t right = (size_t)(bounds[half - 1] < x);
        below += half * right;
        bounds += half * right;
        n -= half * right + (n - half) * (1 - right);
    }
    for (size_t i = 0; i < n; i++) below += (size_t)(bounds[i] < x);
    return below;
}

/* ---- records: one series each; the address of a record is that of its first cell ------------------------------- */

typedef struct { /* layout.py says what the fields mean */
    uint32_t size, text, flags, split, family, link;
    double created;
    uint64_t made, removed;
} pyro_head;

static inline pyro_head *pyro_head_of(size_t cell) { return (pyro_head *)(cell - sizeof(pyro_head)); }
static inline uint32_t pyro_flags(size_t cell) { return __atomic_load_n(&pyro_head_of(cell)->flags, __ATOMIC_RELAXED); }
static inline void pyro_raise(size_t cell, uint32_t flags) {
    __atomic_fetch_or(&pyro_head_of(cell)->flags, flags, __ATOMIC_RELAXED);
}
static inline void pyro_lower(size_t cell, uint32_t flags) {
    __atomic_fetch_and(&pyro_head_of(cell)->flags, ~flags, __ATOMIC_RELAXED);
}
static inline uint32_t pyro_split(size_t cell) { return pyro_head_of(cell)->split; }
static inline size_t pyro_created(size_t cell) { return (size_t)&pyro_head_of(cell)->created; }
static inline size_t pyro_text_len(size_t cell) { return pyro_head_of(cell)->text; }
static inline char *pyro_text(size_t cell) {
    pyro_head *head = pyro_head_of(cell);
    return (char *)head + head->size - ((head->text + 7u) & ~7u);
}

/* ---- memory shared by processes --------------------------------------------------------------------------------- */

static inline size_t pyro_word(size_t at) { return __atomic_load_n((size_t *)at, __ATOMIC_ACQUIRE); }
static inline void pyro_set_word(size_t at, size_t value) { __atomic_store_n((size_t *)at, value, __ATOMIC_RELEASE); }
static inline int pyro_swap_word(size_t at, size_t before, size_t after) {
    return __atomic_compare_exchange_n((size_t *)at, &before, after, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}
static inline void pyro_add_word(size_t at, size_t n) { __atomic_fetch_add((size_t *)at, n, __ATOMIC_SEQ_CST); }
static inline double pyro_exchange(size_t cell, double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    bits = __atomic_exchange_n((uint64_t *)cell, bits, __ATOMIC_RELAXED);
    memcpy(&value, &bits, 8);
    return value;
}
static inline void pyro_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

/* A large buffer that is about to be filled from end to end: ask for few large pages instead of many small ones. */
static inline void pyro_fill_soon(char *at, size_t size) {
    size_t begin = ((size_t)at + 4095) & ~(size_t)4095, end = ((size_t)at + size) & ~(size_t)4095;
#ifdef MADV_HUGEPAGE
    if (size >= 1u << 22) madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#endif
}
/* ---- label values ---------------------------------------------------------------------------------------------- */

typedef struct {
    const char *data;
    size_t size;
} pyro_bytes;

/* Borrow the UTF-8 of an exact str. 0: not an exact str, or one with a lone surrogate. */
static inline int pyro_utf8(PyObject *value, pyro_bytes *out) {
    if (!PyUnicode_CheckExact(value)) return 0;
    Py_ssize_t size;
    if (PyUnicode_IS_COMPACT_ASCII(value)) {
        out->data = (const char *)PyUnicode_1BYTE_DATA(value);
        size = PyUnicode_GET_LENGTH(value);
    } else if (!(out->data = PyUnicode_AsUTF8AndSize(value, &size))) {
        PyErr_Clear();
        return 0;
    }
    out->size = (size_t)size;
    return 1;
}

/* Multiply and fold: every bit of the result depends on all of both. */
static inline uint64_t pyro_fold(uint64_t a, uint64_t b) {
#ifdef __SIZEOF_INT128__
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    a = (a ^ a >> 32) * b;
    return (a ^ a >> 29) * b ^ a >> 32;
#endif
}
/* Mix bytes into a hash. It begins with a secret, which all processes of an arena have and nobody outside. */
static inline uint64_t pyro_mix(uint64_t hash, const char *data, size_t n) {
    const uint64_t odd = 0x9E3779B97F4A7C15ull;
    uint64_t part;
    uint32_t first, last;
    hash ^= n * odd;
    for (; n > 8; data += 8, n -= 8) {
        memcpy(&part, data, 8);
        hash = pyro_fold(hash ^ part, odd);
    }
    if (n >= 4) { /* two overlapping reads are all of four to eight bytes */
        memcpy(&first, data, 4);
        memcpy(&last, data + n - 4, 4);
        part = (uint64_t)first << 32 | last;
    } else
        part = n ? (uint64_t)(unsigned char)data[0] << 16 | (uint64_t)(unsigned char)data[n / 2] << 8 | (unsigned char)data[n - 1] : 0;
    return pyro_fold(hash ^ part, odd);
}

/* A method called with the vectorcall convention, for which neither a tuple nor a dict is built. It takes the place of
 * the method of this name, which stays as the interpreted body. `definition` is the type's own and lives for ever. */
static inline int pyro_install(PyObject *type, PyMethodDef *definition, const char *name, void *body, const char *doc) {
    definition->ml_name = name;
    definition->ml_meth = (PyCFunction)body;
    definition->ml_flags = METH_FASTCALL | METH_KEYWORDS;
    definition->ml_doc = doc;
    PyObject *method = PyDescr_NewMethod((PyTypeObject *)type, definition);
    if (!method) return -1;
    int failed = PyDict_SetItemString(((PyTypeObject *)type)->tp_dict, name, method);
    Py_DECREF(method);
    PyType_Modified((PyTypeObject *)type);
    return failed;
}

/* The same method as the type's own: an interpreter that knows the type of `self` calls such a one directly. */
static inline PyObject *pyro_own_method(PyObject *type, PyObject *method) {
    if (!Py_IS_TYPE(method, &PyMethodDescr_Type)) {
        Py_INCREF(method);
        return method;
    }
    return PyDescr_NewMethod((PyTypeObject *)type, ((PyMethodDescrObject *)method)->d_method);
}

/* 1 with the value of a number; 0 for what is none; -1 with the error of a conversion that failed. */
static inline int pyro_real(PyObject *given, double *value) {
    if (PyFloat_CheckExact(given)) {
        *value = PyFloat_AS_DOUBLE(given);
        return 1;
    }
    *value = PyFloat_AsDouble(given);
    if (*value != -1.0 || !PyErr_Occurred()) return 1;
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) return -1;
    PyErr_Clear();
    return 0;
}

/* ---- numbers --------------------------------------------------------------------------------------------------- */

#define PYRO_NUMBER_MAX 32 /* bytes: no number is longer */

/* Copy n bytes, sixteen at a time: up to fifteen bytes behind the end are read and written. Text in records and literals
 * of a page have them to spare, and so has its buffer. */
#define PYRO_SPARE 16
static inline char *pyro_put(char *out, const char *from, size_t n) {
    size_t i = 0;
    do {
        memcpy(out + i, from + i, 16);
        i += 16;
    } while (i < n);
    return out + n;
}

/* The shortest decimal digits that read back as v (finite, positive), without trailing zeros; the value is
 * digits[0].digits[1]digits[2]... * 10^*exponent. */
static inline int pyro_digits(double v, char *digits, int *exponent) {
    char text[40];
    int n = 0;
#if defined(__cpp_lib_to_chars)
    *std::to_chars(text, text + sizeof text, v, std::chars_format::scientific).ptr = 0;
#else /* a C++ library without to_chars for floating point: the fewest digits that read back, as Python's repr */
    for (int precision = 14; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, v);
        if (strtod(text, NULL) == v) break;
    }
#endif
    const char *at = text;
    for (; *at && *at != 'e'; at++)
        if (*at >= '0' && *at <= '9') digits[n++] = *at;
    *exponent = atoi(at + 1);
    while (n > 1 && digits[n - 1] == '0') n--;
    return n;
}

/* Write v at `out`; returns the end. Laid out as Python's repr does, an integer without `.0`; with `go` as
 * prometheus_client does (an integer as `8.0`, from a million on with an exponent). */
static inline char *pyro_number(char *out, double v, int go) {
    if (v != v) return (char *)memcpy(out, "NaN", 3) + 3;
    if (std::isinf(v)) return (char *)memcpy(out, v > 0 ? "+Inf" : "-Inf", 4) + 4;
    bool negative = std::signbit(v);
    if (negative) {
        *out++ = '-';
        v = -v;
    }
    if (v < (go && !negative ? 1e6 : 1e12)) { /* up to three decimals is the common case, and needs no search */
        int64_t thousandths = (int64_t)(v * 1000.0 + 0.5);
        if ((double)thousandths / 1000.0 == v) {
            int decimals = (int)(thousandths % 1000);
            out = std::to_chars(out, out + 20, thousandths / 1000).ptr;
            if (decimals || go) {
                out[0] = '.';
                out[1] = (char)('0' + decimals / 100);
                out[2] = (char)('0' + decimals / 10 % 10);
                out[3] = (char)('0' + decimals % 10);
                out += decimals % 10 ? 4 : decimals % 100 ? 3 : 2;
            }
            return out;
        }
    }
    char digits[40];
    int exponent, n;
    n = pyro_digits(v, digits, &exponent);
    if (exponent < -4 || exponent >= 16 || (go && !negative && exponent >= 6)) {
        *out++ = digits[0];
        if (n > 1) {
            *out++ = '.';
            out = (char *)memcpy(out, digits + 1, n - 1) + n - 1;
        }
        *out++ = 'e';
        *out++ = exponent < 0 ? '-' : '+';
        if (exponent < 0) exponent = -exponent;
        if (exponent < 10) *out++ = '0';
        return std::to_chars(out, out + 4, exponent).ptr;
    }
    if (exponent < 0) {
        *out++ = '0';
        *out++ = '.';
        for (int i = -1; i > exponent; i--) *out++ = '0';
        return (char *)memcpy(out, digits, n) + n;
    }
    for (int i = 0; i <= exponent; i++) *out++ = i < n ? digits[i] : '0';
    if (n > exponent + 1) {
        *out++ = '.';
        return (char *)memcpy(out, digits + exponent + 1, n - exponent - 1) + n - exponent - 1;
    }
    if (go) {
        *out++ = '.';
        *out++ = '0';
    }
    return out;
}

#endif
