"""The reference of the hot path: what an empty C method call costs in this Python."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Contender, statement

_SOURCE = Path(__file__).with_name("empty.c")
_MODULE = "pyrometer_bench_empty"


@dataclass(frozen=True)
class Reference:
    """An empty call, and the words that say what it is."""

    contender: Contender
    description: str


def reference() -> Reference:
    """Compiles ``empty.c`` for this Python in a temporary directory; without a compiler, a builtin's method."""
    try:
        instance = _compiled()
    except (OSError, subprocess.CalledProcessError, ImportError) as error:
        reason = str(error).strip().splitlines()[-1]
        return Reference(
            statement("e.isascii()", {"e": ""}),
            f'the builtin method "".isascii() (no C extension could be built: {reason})',
        )
    return Reference(
        statement("e.nop()", {"e": instance}), "a method without arguments of a C extension type, compiled with -O2"
    )


def _compiled() -> object:
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as directory:
        library = Path(directory) / f"{_MODULE}{sysconfig.get_config_var('EXT_SUFFIX')}"
        include = sysconfig.get_path("include")
        command = [*compiler, "-O2", "-shared", "-fPIC", f"-I{include}", str(_SOURCE), "-o", str(library)]
        subprocess.run(command, check=True, capture_output=True)
        spec = importlib.util.spec_from_file_location(_MODULE, library)
        if spec is None or spec.loader is None:
            raise ImportError(f"no loader for {library.name}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    instance: object = module.Empty()
    return instance
