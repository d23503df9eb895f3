"""Reading one line of a text page: names, label sets, numbers, and errors that say where.

Shared by the parsers of the text format and of OpenMetrics, whose lines differ in little but blanks. A scanner belongs
to one parse and so to one thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_NUMBER = re.compile(
    r"[+-]?[0-9]+"
    r"|([+-]?(?:[0-9]+\.[0-9]*|[0-9]*\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]+)?|[+-]?[iI][nN][fF](?:[iI][nN][iI][tT][yY])?"
    r"|[nN][aA][nN])"
)
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"')
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TERM = re.compile(r'(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([a-zA-Z_][a-zA-Z0-9_]*))[ \t]*=[ \t]*"([^"\\]*(?:\\.[^"\\]*)*)"')
_TEXT_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t]*([,}]?)')
_STRICT_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\]*(?:\\.[^"\\]*)*)"([,}]?)')
_BLANKS = re.compile(r"[ \t]*")
_TOKEN = re.compile(r"[^ \t]*")

# No float has more digits before its point: a longer integer is infinite, and Python refuses to convert very long ones.
_LONGEST_INTEGER = 300


class ParseError(ValueError):
    """A page that its format does not allow.

    `line` and `column` say where, both counted from 1 (columns in characters); `text` is that line without its line
    feed and `reason` the message without the position.
    """

    def __init__(self, reason: str, line: int, column: int, text: str) -> None:
        super().__init__(reason, line, column, text)
        self.reason = reason
        self.line = line
        self.column = column
        self.text = text

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.reason}"


def parse_number(token: str) -> float | None:
    """The number that `token` writes, an int where it has neither point nor exponent; None when it is no number."""
    match = _NUMBER.fullmatch(token)
    if match is None:
        return None
    if match.lastindex is None and len(token) < _LONGEST_INTEGER:
        return int(token)
    return float(token)


def unescape(text: str) -> str:
    """`text` with ``\\\\``, ``\\n`` and ``\\"`` replaced by what they stand for; other backslashes stay."""
    if "\\" not in text:
        return text
    # Halves between doubled backslashes have single ones only, so the order of the replacements cannot matter.
    return "\\".join([part.replace("\\n", "\n").replace('\\"', '"') for part in text.split("\\\\")])


def unescape_help(text: str) -> str:
    """`text` with ``\\\\`` and ``\\n`` replaced by what they stand for, as HELP lines of the text format have them."""
    if "\\" not in text:
        return text
    return "\\".join([part.replace("\\n", "\n") for part in text.split("\\\\")])


class Scanner:
    """One line at a time; positions are indexes into `text`, the line that was loaded last.

    `blanks`: whether blanks and tabs may stand between the parts of a label set, and a comma after the last label.
    """

    __slots__ = ("_blanks", "_labels_at", "_match_label", "line", "text")

    def __init__(self, *, blanks: bool) -> None:
        self._blanks = blanks
        self._match_label: Callable[[str, int], re.Match[str] | None] = (
            _TEXT_LABEL.match if blanks else _STRICT_LABEL.match
        )
        self._labels_at = 0
        self.text = ""
        self.line = 0

    def load(self, text: str) -> None:
        """Go on to the next line."""
        self.text = text
        self.line += 1

    def error(self, position: int, reason: str) -> ParseError:
        """What to raise when the character at `position` is where the line goes wrong."""
        return ParseError(reason, self.line, position + 1, self.text)

    def expected(self, position: int, what: str, got: str = "") -> ParseError:
        """The same, naming what should have been there; `got` is the character at `position` if it is not given."""
        got = got or self.text[position : position + 1]
        return self.error(position, f"expected {what}, got {repr(got) if got else 'end of line'}")

    def skip_blanks(self, position: int) -> int:
        """The first position that is no blank, if this format allows blanks; else `position`."""
        match = _BLANKS.match(self.text, position) if self._blanks else None
        return position if match is None else match.end()

    def read_token(self, position: int) -> str:
        """What stands between `position` and the next blank or tab; empty at the end of the line."""
        match = _TOKEN.match(self.text, position)
        return "" if match is None else match.group()

    def read_number(self, position: int, token: str, what: str = "a number") -> float:
        """The number that `token`, found at `position`, writes."""
        value = parse_number(token)
        if value is None:
            raise self.expected(position, what, token)
        return value

    def read_quoted(self, position: int) -> tuple[str, int]:
        """The text in quotes that begins at `position`, unescaped, and the position behind it."""
        match = _QUOTED.match(self.text, position)
        if match is None:
            raise self.expected(len(self.text), f"a closing quote for the one in column {position + 1}")
        return unescape(match.group(1)), match.end()

    def read_metric_name(self, position: int) -> tuple[str, int]:
        """The metric name at `position`, in quotes or bare, and the position behind it."""
        if self.text.startswith('"', position):
            name, end = self.read_quoted(position)
            self._check_name(position, name, "metric name")
            return name, end
        match = _METRIC_NAME.match(self.text, position)
        if match is None:
            raise self.expected(position, "a metric name")
        return match.group(), match.end()

    def read_labels(self, position: int, *, name_allowed: bool) -> tuple[str | None, dict[str, str], int]:
        """The label set whose ``{`` stands just before `position`.

        Returns the quoted metric name among the labels (None without one; an error unless `name_allowed`), the labels,
        and the position behind the ``}``.
        """
        text = self.text
        match_label = self._match_label
        metric_name: str | None = None
        labels: dict[str, str] = {}
        first = True
        self._labels_at = position
        while True:
            match = match_label(text, position)
            if match is not None:
                name, value, delimiter = match.groups()
                if name in labels or name[:2] == "__":
                    raise self._unusable_label(match.start(1), name)
                labels[name] = unescape(value) if "\\" in value else value
                position = match.end()
            else:
                position = self.skip_blanks(position)
                if (first or self._blanks) and text.startswith("}", position):
                    return metric_name, labels, position + 1
                # A comma with nothing before it is no label, but pages with `{,}` exist.
                if not (first and self._blanks and text.startswith(",", position)):
                    found, position = self._read_rare_term(position, labels, name_allowed and metric_name is None)
                    metric_name = metric_name or found
                delimiter = text[position : position + 1]
                position += len(delimiter)
            if delimiter == "}":
                return metric_name, labels, position
            if delimiter != ",":
                raise self.expected(position - len(delimiter), "',' or '}'")
            first = False

    def find_label(self, name: str) -> int:
        """Where the value of label `name`, which this line has, begins: the place to point an error at."""
        for match in _TERM.finditer(self.text, self._labels_at):
            quoted, bare, _ = match.groups()
            if (unescape(quoted) if bare is None else bare) == name:
                return match.start(3)
        return self._labels_at

    def _read_rare_term(self, position: int, labels: dict[str, str], name_allowed: bool) -> tuple[str | None, int]:
        """Read what the pattern for plain labels does not match: names in quotes, and mistakes.

        Adds a label to `labels`, or returns the metric name; in both cases with the position of what comes next.
        """
        text = self.text
        start = position
        if text.startswith('"', position):
            name, position = self.read_quoted(position)
            self._check_name(start, name, "label name")
        else:
            match = _LABEL_NAME.match(text, position)
            if match is None:
                raise self.expected(position, "a label name")
            name, position = match.group(), match.end()
        position = self.skip_blanks(position)
        if not text.startswith("=", position):
            if name_allowed and text.startswith('"', start):
                return name, position
            raise self.expected(position, f"'=' after the label name {name!r}")
        if name in labels or name.startswith("__"):
            raise self._unusable_label(start, name)
        position = self.skip_blanks(position + 1)
        if not text.startswith('"', position):
            raise self.expected(position, "a label value in quotes")
        labels[name], position = self.read_quoted(position)
        return None, self.skip_blanks(position)

    def _unusable_label(self, position: int, name: str) -> ParseError:
        if name.startswith("__"):
            return self.error(position, f"expected a label name without the reserved prefix '__', got {name!r}")
        return self.error(position, f"expected each label once, got {name!r} again")

    def _check_name(self, position: int, name: str, what: str) -> None:
        if not name:
            raise self.error(position, f"expected a {what}, got empty quotes")
        try:
            name.encode()
        except UnicodeEncodeError:
            raise self.error(position, f"expected a {what} that UTF-8 can encode, got {name!r}") from None
