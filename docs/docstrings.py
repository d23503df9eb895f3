"""Docstrings are written to be read in the source; this turns them into what Sphinx reads.

An indented paragraph is an example. Lines `name: text`, the rest of the text indented below, are a list. What is
between backquotes is code.
"""

from __future__ import annotations

import re
from itertools import groupby

FIELD = re.compile(r"(\w+(?:, \w+)*): (.*)")


def converted(lines: list[str]) -> list[str]:
    """The lines of a docstring, in reStructuredText."""
    result: list[str] = []
    in_example = False
    for is_blank, group in groupby(lines, key=lambda line: not line.strip()):
        paragraph = list(group)
        if is_blank:
            result += paragraph
            continue
        is_example = all(line.startswith("    ") for line in paragraph)
        if is_example:
            result += ([] if in_example else ["::", ""]) + paragraph
        else:
            result += [re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line) for line in _listed(paragraph)]
        in_example = is_example
    return result


def _listed(paragraph: list[str]) -> list[str]:
    """A paragraph of `name: text` lines as a list; any other as it is."""
    starts = [line for line in paragraph if not line.startswith(" ")]
    if not all(FIELD.match(line) for line in starts):
        return [line.strip() for line in paragraph]
    return [FIELD.sub(r"- **\1**: \2", line) if line in starts else f"  {line.strip()}" for line in paragraph]
