"""Names of metrics and labels: what is valid, and how each format writes what is not.

The classic character set is that of the text format 0.0.4: ``[a-zA-Z_:][a-zA-Z0-9_:]*`` for metrics and
``[a-zA-Z_][a-zA-Z0-9_]*`` for labels. The escaping schemes are those of Prometheus's proposal on UTF-8 names
(https://github.com/prometheus/proposals/blob/main/proposals/2023-08-21-utf8.md).

Everything here is a pure function: safe from any thread.
"""

from __future__ import annotations

from pyrometer._core.text_cy import replace_surrogates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ALLOW_UTF8",
    "DOTS",
    "UNDERSCORES",
    "VALUES",
    "check_distinct",
    "check_label_name",
    "check_metric_name",
    "checked_labels",
    "escape_help",
    "escape_label_name",
    "escape_metric_name",
    "escape_value",
    "is_classic_label_name",
    "is_classic_metric_name",
    "replace_surrogates",
]

ALLOW_UTF8 = "allow-utf-8"
UNDERSCORES = "underscores"
DOTS = "dots"
VALUES = "values"


def is_classic_metric_name(name: str) -> bool:
    """Whether `name` is entirely ``[a-zA-Z_:][a-zA-Z0-9_:]*`` (an empty name is not)."""
    # An ASCII identifier is exactly [a-zA-Z_][a-zA-Z0-9_]*; asking for that avoids loading `re` at import.
    return name.isascii() and name.replace(":", "_").isidentifier()


def is_classic_label_name(name: str) -> bool:
    """Whether `name` is entirely ``[a-zA-Z_][a-zA-Z0-9_]*`` (an empty name is not; ``__reserved`` names are)."""
    return name.isascii() and name.isidentifier()


def escape_metric_name(name: str, scheme: str) -> str:
    """`name` as a page written under `scheme` shows it.

    With "allow-utf-8" a name outside the classic set comes back in quotes, backslash-escaped. An empty name stays
    empty. Raises ValueError for a scheme that is none of the four.
    """
    if scheme == ALLOW_UTF8:
        return name if not name or is_classic_metric_name(name) else f'"{escape_value(name)}"'
    if scheme != DOTS and is_classic_metric_name(name):
        _check_scheme(scheme)
        return name
    return _escape_characters(name, scheme, colon=True)


def escape_label_name(name: str, scheme: str) -> str:
    """`name` as a page written under `scheme` shows it; as escape_metric_name, for label names.

    Names that begin with ``__`` are Prometheus's own: they are treated as outside the classic set.
    """
    plain = is_classic_label_name(name) and not name.startswith("__")
    if scheme == ALLOW_UTF8:
        return name if not name or plain else f'"{escape_value(name)}"'
    if scheme != DOTS and plain:
        _check_scheme(scheme)
        return name
    return _escape_characters(name, scheme, colon=False)


def escape_help(text: str) -> str:
    """`text` as a HELP line of the text format 0.0.4 writes it: backslash and line feed escaped."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def escape_value(text: str) -> str:
    """`text` as it stands between double quotes in every text format: backslash, line feed and quote escaped."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def check_metric_name(name: object, *, utf8: bool) -> None:
    """Refuse what cannot name a metric.

    `utf8`: whether any non-empty name that UTF-8 can encode will do, or the classic character set alone.
    Raises TypeError when `name` is no str and ValueError when it is not valid; positions count from 1.
    """
    checked = _check_text("metric", name)
    if utf8:
        _check_encodable("metric", checked)
    elif not is_classic_metric_name(checked):
        raise ValueError(_describe_bad_character("metric", checked, colon=True))


def check_label_name(name: object, *, utf8: bool) -> None:
    """Refuse what cannot name a label; as check_metric_name, and names that begin with ``__`` are refused too."""
    checked = _check_text("label", name)
    if utf8:
        _check_encodable("label", checked)
    elif not is_classic_label_name(checked):
        raise ValueError(_describe_bad_character("label", checked, colon=False))
    if checked.startswith("__"):
        raise ValueError(f"label name {checked!r} begins with '__', which is reserved for Prometheus itself")


def checked_labels(what: str, labels: Mapping[str, str], others: Sequence[str] = ()) -> dict[str, str]:
    """`labels` with text that UTF-8 can hold; `what` names their owner in errors, `others` are names taken already.

    TypeError for a name or a value that is no str; ValueError for a name that is not valid, taken, or that a page may
    write like another.
    """
    checked: dict[str, str] = {}
    for name, value in labels.items():
        try:
            check_label_name(name, utf8=True)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{what}: {error}") from None
        if not isinstance(value, str):
            raise TypeError(f"{what}: label {name!r} must have a str, got {type(value).__name__}: {value!r}")
        if name in others:
            raise ValueError(f"{what}: {name!r} is a label of the family ({', '.join(others)})")
        checked[str.__str__(name)] = replace_surrogates(value)
    check_distinct(what, (*others, *checked))
    return checked


def check_distinct(what: str, names: Sequence[str]) -> None:
    """Refuse label names of which a page may write two alike; `what` names their owner in the ValueError."""
    written: dict[str, str] = {}
    for name in names:
        # The other schemes tell apart whatever this one does.
        other = written.setdefault(escape_label_name(name, UNDERSCORES), name)
        if other is not name or names.count(name) > 1:
            raise ValueError(f"{what}: label name {other!r} stands twice in {tuple(names)}, as pages write it")


def _is_surrogate(char: str) -> bool:
    return "\ud800" <= char <= "\udfff"


def _is_plain_character(char: str, position: int, colon: bool) -> bool:
    if not char.isascii():
        return False
    return char.isalpha() or char == "_" or (char.isdigit() and position > 0) or (colon and char == ":")


def _check_scheme(scheme: str) -> None:
    if scheme not in (UNDERSCORES, DOTS, VALUES):
        raise ValueError(
            f"expected an escaping scheme ({ALLOW_UTF8}, {UNDERSCORES}, {DOTS} or {VALUES}), got {scheme!r}"
        )


def _escape_characters(name: str, scheme: str, *, colon: bool) -> str:
    _check_scheme(scheme)
    if not name:
        return name
    out = ["U__"] if scheme == VALUES else []
    for position, char in enumerate(name):
        plain = _is_plain_character(char, position, colon)
        if scheme == UNDERSCORES:
            out.append(char if plain else "_")
        elif char == "_":
            out.append("__")
        elif plain:
            out.append(char)
        elif scheme == DOTS:
            out.append("_dot_" if char == "." else "__")
        else:
            out.append("_FFFD_" if _is_surrogate(char) else f"_{ord(char):x}_")
    return "".join(out)


def _check_text(kind: str, name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a {kind} name must be a str, got {type(name).__name__}: {name!r}")
    if not name:
        raise ValueError(f"a {kind} name must not be empty")
    return name


def _check_encodable(kind: str, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{kind} name {name!r} has a lone surrogate at position {error.start + 1}, which UTF-8 cannot encode"
        ) from None


def _describe_bad_character(kind: str, name: str, *, colon: bool) -> str:
    for position, char in enumerate(name):
        if not _is_plain_character(char, position, colon):
            break
    allowed = "ASCII letters, digits, '_' and ':'" if colon else "ASCII letters, digits and '_'"
    return f"{kind} name {name!r} has {char!r} at position {position + 1}: expected {allowed}, no digit first"
