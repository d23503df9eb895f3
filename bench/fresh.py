"""Fresh processes, for what only a process that did nothing else can show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent


def answer(module: str, *arguments: object) -> Any:
    """Runs ``python -m module arguments...`` with this Python and returns the JSON it prints last."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip() or "no message").splitlines()[-1]
        raise RuntimeError(f"{' '.join(command[1:])} ended with {done.returncode}: {reason}")
    return json.loads(done.stdout.splitlines()[-1])
