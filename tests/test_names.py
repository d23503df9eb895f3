"""Names: what is valid, and how each escaping scheme writes the rest."""

from __future__ import annotations

from collections.abc import Callable

import prometheus_client.openmetrics.exposition as reference
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pyrometer import _names as names
from pyrometer.exposition._scanner import unescape, unescape_help

SCHEMES = (names.ALLOW_UTF8, names.UNDERSCORES, names.DOTS, names.VALUES)
ANY_TEXT = st.text(st.characters(), max_size=12) | st.text('ab_:.09 \\"\n', max_size=8)


@pytest.mark.parametrize("name", ["a", "_", ":", "a:b", "A9_", "x" * 300, "__a"])
def test_classic_metric_names_are_known(name: str) -> None:
    """ASCII letters, digits, underscores and colons make a classic metric name."""
    assert names.is_classic_metric_name(name)


@pytest.mark.parametrize("name", ["", "9a", "a.b", "a b", "é", "a\n", "a\u0661", "ªa", "\ud800"])
def test_other_metric_names_are_not_classic(name: str) -> None:
    """What has another character anywhere, even a line feed at the end, is no classic name."""
    assert not names.is_classic_metric_name(name)
    assert not names.is_classic_label_name(name)


def test_a_colon_is_for_metrics_alone() -> None:
    """A label name with a colon is not classic."""
    assert names.is_classic_label_name("a_b") and not names.is_classic_label_name("a:b")


@pytest.mark.parametrize("scheme", SCHEMES)
@given(name=ANY_TEXT)
def test_names_are_escaped_as_prometheus_client_escapes_them(scheme: str, name: str) -> None:
    """Under every scheme, metric and label names come out as prometheus_client writes them."""
    # Its patterns end in `$`, which also matches before a final line feed, so it takes such names for classic.
    assume(not name.endswith("\n"))
    assert names.escape_metric_name(name, scheme) == reference.escape_metric_name(name, scheme)
    assert names.escape_label_name(name, scheme) == reference.escape_label_name(name, scheme)


@pytest.mark.parametrize("scheme", [names.UNDERSCORES, names.DOTS, names.VALUES])
@given(name=ANY_TEXT.filter(bool))
def test_escaped_names_are_classic(scheme: str, name: str) -> None:
    """Whatever the name, the schemes that escape give a classic one."""
    assert names.is_classic_metric_name(names.escape_metric_name(name, scheme))
    assert names.is_classic_label_name(names.escape_label_name(name, scheme))


def test_each_scheme_writes_a_name_its_own_way() -> None:
    """The four schemes differ as the proposal on UTF-8 names shows them."""
    written = [names.escape_metric_name("my.metric_é", scheme) for scheme in SCHEMES]
    assert written == ['"my.metric_é"', "my_metric__", "my_dot_metric____", "U__my_2e_metric___e9_"]


@pytest.mark.parametrize("escape", [names.escape_metric_name, names.escape_label_name])
@pytest.mark.parametrize("name", ["a", "a.b"])
def test_an_unknown_scheme_is_refused(escape: Callable[[str, str], str], name: str) -> None:
    """A scheme that does not exist is an error that lists those that do."""
    with pytest.raises(ValueError, match=r"allow-utf-8, underscores, dots or values\), got 'commas'"):
        escape(name, "commas")


@given(text=ANY_TEXT)
def test_escaped_values_read_back(text: str) -> None:
    """A label value that is escaped and read again is what it was, and holds neither line feed nor bare quote."""
    escaped = names.escape_value(text)
    assert unescape(escaped) == text
    assert "\n" not in escaped and not escaped.replace("\\\\", "").replace('\\"', "").count('"')


@given(text=ANY_TEXT)
def test_escaped_help_reads_back(text: str) -> None:
    """A help text that is escaped and read again is what it was, on one line."""
    escaped = names.escape_help(text)
    assert unescape_help(escaped) == text and "\n" not in escaped


@given(text=ANY_TEXT)
def test_surrogates_become_replacement_characters(text: str) -> None:
    """Any text can be encoded afterwards; text without surrogates stays the same object's text."""
    replaced = names.replace_surrogates(text)
    assert len(replaced.encode().decode()) == len(text)
    assert all(new == old or new == "\ufffd" for new, old in zip(replaced, text))
    assert replaced == text or any("\ud800" <= char <= "\udfff" for char in text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "a metric name must not be empty"),
        ("a b", "metric name 'a b' has ' ' at position 2: expected ASCII letters, digits, '_' and ':', no digit first"),
        ("1a", "metric name '1a' has '1' at position 1: "),
        ("a\n", r"metric name 'a\n' has '\n' at position 2: "),
        ("a.b", "metric name 'a.b' has '.' at position 2: "),
    ],
)
def test_bad_metric_names_are_refused_with_their_place(name: str, message: str) -> None:
    """A name outside the classic set is refused, naming the character and where it stands."""
    with pytest.raises(ValueError) as caught:
        names.check_metric_name(name, utf8=False)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("check", [names.check_metric_name, names.check_label_name])
@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("name", [1, None, b"a", ["a"]])
def test_names_that_are_no_text_are_refused(check: Callable[..., None], utf8: bool, name: object) -> None:
    """What is no str is a TypeError that shows the type and the value."""
    with pytest.raises(TypeError, match="name must be a str, got " + type(name).__name__):
        check(name, utf8=utf8)


def test_utf8_names_are_allowed_where_the_policy_says_so() -> None:
    """With UTF-8 names any text will do, except what UTF-8 cannot encode and nothing."""
    names.check_metric_name("my.métric \n", utf8=True)
    names.check_label_name("my.label", utf8=True)
    with pytest.raises(ValueError, match="lone surrogate at position 2, which UTF-8 cannot encode"):
        names.check_metric_name("a\ud800", utf8=True)
    with pytest.raises(ValueError, match="must not be empty"):
        names.check_label_name("", utf8=True)


@pytest.mark.parametrize("utf8", [False, True])
def test_reserved_label_names_are_refused(utf8: bool) -> None:
    """Label names that begin with two underscores belong to Prometheus."""
    names.check_label_name("_a", utf8=utf8)
    with pytest.raises(ValueError, match="label name '__a' begins with '__', which is reserved"):
        names.check_label_name("__a", utf8=utf8)


def test_a_colon_in_a_label_name_is_refused() -> None:
    """The colon, good in metric names, is named as the fault of a label name."""
    with pytest.raises(ValueError, match=r"label name 'a:b' has ':' at position 2: expected ASCII letters, digits and"):
        names.check_label_name("a:b", utf8=False)
