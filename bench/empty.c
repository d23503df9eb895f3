/* A C extension type with a method that takes nothing and does nothing: the cheapest call Python can make into C. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *nop(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"nop", nop, METH_NOARGS, "Does nothing."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "pyrometer_bench_empty.Empty",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

static int execute(PyObject *module) {
    PyObject *type = PyType_FromSpec(&spec);
    if (type == NULL) {
        return -1;
    }
    int result = PyModule_AddObjectRef(module, "Empty", type);
    Py_DECREF(type);
    return result;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pyrometer_bench_empty",
    .m_size = 0,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit_pyrometer_bench_empty(void) { return PyModuleDef_Init(&module); }
