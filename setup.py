"""The extension modules; all other metadata is in pyproject.toml.

PYROMETER_REQUIRE_EXT=1 makes a build without a working compiler fail; PYROMETER_NO_EXT=1 leaves the extensions out.
Otherwise they are built where that is possible, and the same sources run interpreted where it is not.
"""

from __future__ import annotations

import os
import sys

from setuptools import Extension, setup

CORE = "src/pyrometer/_core"
HOT_MODULES = (
    "text_cy",
    "memory_cy",
    "chunks_cy",
    "record_cy",
    "notes_cy",
    "slots_cy",
    "header_cy",
    "table_cy",
    "attached_cy",
    "arena_cy",
    "series_cy",
    "family_cy",
    "parts_cy",
    "metric_cy",
    "children_cy",
    "snapshot_cy",
    "render_cy",
)


def wanted(variable: str) -> bool:
    return os.environ.get(variable, "") not in ("", "0")


def extensions() -> list[Extension]:
    """The extensions, as Cython prepares them; none where they are not wanted or cannot be shared memory's."""
    if wanted("PYROMETER_NO_EXT") or os.name != "posix" or sys.implementation.name != "cpython":
        return []
    from Cython.Build import cythonize

    made: list[Extension] = cythonize(
        [
            Extension(
                f"pyrometer._core.{name}",
                [f"{CORE}/{name}.py"],
                language="c++",
                depends=[f"{CORE}/{file}" for file in ("native.h", "native.pxd", "shared.h", "shared.pxd")],
                include_dirs=[CORE],
                extra_compile_args=["-std=c++17", "-O3", "-g0", "-fvisibility=hidden", "-Wno-sign-compare"],
            )
            for name in HOT_MODULES
        ],
        build_dir="build/cython",
        include_path=["src"],
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": True,
            "auto_pickle": False,
            # Methods as CPython's own method descriptors, which it calls faster than Cython's functions.
            "binding": False,
            "embedsignature": True,
            "embedsignature.format": "clinic",
        },
    )
    for extension in made:  # cythonize() forgets it
        extension.optional = not wanted("PYROMETER_REQUIRE_EXT")
    return made


setup(ext_modules=extensions())
