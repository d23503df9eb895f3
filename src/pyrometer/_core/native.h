/* What Python cannot say: memory shared by processes, an atomic add, a method with the vectorcall convention, and the
 * text of a number. Everything else of the core is Python; native.py is this header's twin for the interpreted core. */
#ifndef PYROMETER_NATIVE_H
#define PYROMETER_NATIVE_H

#include <Python.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

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

typedef struct {
    uint32_t size;  /* of the whole record, in bytes, a multiple of 8 */
    uint32_t text;  /* length of the label text that follows the cells */
    uint32_t flags; /* RECORD_* of arena_cy.py */
    uint32_t split; /* bytes of the label text that sort before `le` */
    double created; /* Unix time in seconds */
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

/* ---- memory: a range of addresses, shared with every process forked from this one; pages exist once touched ---- */

static inline size_t pyro_map(size_t *size) {
    struct rlimit limit; /* where address space is limited, most of it is for the program */
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        while (*size > (1u << 20) && *size > limit.rlim_cur / 16) *size /= 2;
    for (; *size >= 1u << 16; *size /= 2) { /* a limit on address space (ulimit -v) halves it until it fits */
        void *at = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at != MAP_FAILED) {
#ifdef MADV_DONTDUMP
            madvise(at, *size, MADV_DONTDUMP);
#endif
            return (size_t)at;
        }
    }
    return 0;
}
static inline void pyro_unmap(size_t at, size_t size) { munmap((void *)at, size); }
/* A large buffer that is about to be filled from end to end: ask for few large pages instead of many small ones. */
static inline void pyro_fill_soon(char *at, size_t size) {
    size_t begin = ((size_t)at + 4095) & ~(size_t)4095, end = ((size_t)at + size) & ~(size_t)4095;
#ifdef MADV_HUGEPAGE
    if (size >= 1u << 22) madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#endif
}
/* Take n bytes of those counted by the word at `at`, of which there are `limit`: their offset, 0 if too few are left. */
static inline size_t pyro_take(size_t at, size_t n, size_t limit) {
    size_t used = __atomic_load_n((size_t *)at, __ATOMIC_RELAXED);
    do {
        if (n > limit || used > limit - n) return 0;
    } while (!__atomic_compare_exchange_n((size_t *)at, &used, used + n, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return used;
}

static inline size_t pyro_word(size_t at) { return *(size_t *)at; }
static inline void pyro_set_word(size_t at, size_t value) { *(size_t *)at = value; }

/* Forks are counted in the child and in the parent (os.register_at_fork is not run by every server); generations of
 * processes in the child alone. */
static size_t pyro_forks = 1, pyro_generation = 1;
static void pyro_forked_parent(void) { pyro_forks++; }
static void pyro_forked_child(void) { pyro_forks++, pyro_generation++; }
static inline void pyro_watch_forks(void) { pthread_atfork(NULL, pyro_forked_parent, pyro_forked_child); }
static inline size_t pyro_fork_count(void) { return pyro_forks; }

/* A lock for a few instructions that run no Python. It holds the generation of its holder, so that a lock which was
 * held by another thread while the process forked is free in the child. */
static inline void pyro_spin_lock(size_t *word) {
    for (;;) {
        size_t held = 0;
        if (__atomic_compare_exchange_n(word, &held, pyro_generation, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
        if (held != pyro_generation &&
            __atomic_compare_exchange_n(word, &held, pyro_generation, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    }
}
static inline void pyro_spin_unlock(size_t *word) { __atomic_store_n(word, (size_t)0, __ATOMIC_RELEASE); }

/* ---- label values ---------------------------------------------------------------------------------------------- */

typedef struct {
    const char *data;
    size_t size;
} pyro_bytes;

/* Borrow the UTF-8 of an exact str and mix its hash into *hash. 0: not an exact str, or one with a lone surrogate. */
static inline int pyro_utf8(PyObject *value, pyro_bytes *out, uint32_t *hash) {
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
    Py_hash_t own = ((PyASCIIObject *)value)->hash;
    if (own == -1) own = PyObject_Hash(value);
    uint64_t mixed = ((uint64_t)own ^ *hash) * 0x9E3779B97F4A7C15ull;
    *hash = (uint32_t)(mixed >> 32);
    return 1;
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
