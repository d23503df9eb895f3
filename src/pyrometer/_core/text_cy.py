"""Label text: the labels of a series as every text format writes them, ready for a page."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrometer._core import _cython as cython
else:
    try:
        import cython
    except ImportError:
        from pyrometer._core import _cython as cython  # noqa: F401


def escape(value: Any) -> bytes:
    """A label value as the text formats write it: UTF-8, with escapes for backslash, quote and newline."""
    raw: bytes = value.encode()
    if b"\\" in raw or b'"' in raw or b"\n" in raw:
        return raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b'"', b'\\"')
    return raw


def unescape(value: bytes) -> str:
    """The label value that `escape` wrote."""
    if b"\\" not in value:
        return value.decode()
    parts = value.split(b"\\\\")
    return b"\\".join(part.replace(b"\\n", b"\n").replace(b'\\"', b'"') for part in parts).decode()


def text_of(value: object) -> str:
    """What `str()` gives for a label value, as an exact str that UTF-8 can hold.

    A lone surrogate, which a client can send, becomes U+FFFD.
    """
    return replace_surrogates(str(value))


def replace_surrogates(value: Any) -> str:
    """The characters of a str with U+FFFD for every surrogate code point, so that UTF-8 can hold them."""
    characters: str = str.__str__(value)
    if not characters.isascii():
        try:
            characters.encode()
        except UnicodeEncodeError:
            return "".join(["\ufffd" if "\ud800" <= each <= "\udfff" else each for each in characters])
    return characters


def quoted(labelname: str) -> str:
    """A label name as pages write it; one outside the classic character set is quoted."""
    if labelname.isascii() and labelname.isidentifier():
        return labelname
    return '"' + escape(labelname).decode() + '"'
