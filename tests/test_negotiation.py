"""Which format and which encoding a client gets for what it sends."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import choose_encoder

from pyrometer.exposition.negotiation import accepts_gzip, negotiate

TEXT_0_0_4 = "text/plain; version=0.0.4; charset=utf-8"
TEXT_1_0_0 = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
TEXT_1_0_0_UTF8 = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
OPENMETRICS_UTF8 = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
OPENMETRICS_2 = "application/openmetrics-text; version=2.0.0; charset=utf-8; escaping=underscores"

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_NATIVE = (
    f"{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,"
    "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_LEGACY_NAMES = PROMETHEUS_3.replace("allow-utf-8", "underscores")
PROMETHEUS_3_NATIVE = f"{PROTOBUF};q=0.7,{PROMETHEUS_3}"
PROMETHEUS_3_TEXT_1_ONLY = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.5"
VICTORIAMETRICS = "text/plain;version=0.0.4;q=1,*/*;q=0.1"
TELEGRAF = f"{PROTOBUF};q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
CHROME = f"{FIREFOX},application/signed-exchange;v=b3;q=0.7"
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"

REAL_CLIENTS = [
    (PROMETHEUS_2, OPENMETRICS),
    (PROMETHEUS_2_NATIVE, OPENMETRICS),
    (PROMETHEUS_3, OPENMETRICS_UTF8),
    (PROMETHEUS_3_LEGACY_NAMES, OPENMETRICS),
    (PROMETHEUS_3_NATIVE, OPENMETRICS_UTF8),
    (PROMETHEUS_3_TEXT_1_ONLY, TEXT_1_0_0_UTF8),
    (VICTORIAMETRICS, TEXT_0_0_4),
    (TELEGRAF, TEXT_0_0_4),
    (FIREFOX, TEXT_0_0_4),
    (CHROME, TEXT_0_0_4),
    (JAVA, TEXT_0_0_4),
    ("*/*", TEXT_0_0_4),
    ("text/plain", TEXT_0_0_4),
    ("application/json", TEXT_0_0_4),
    ("", TEXT_0_0_4),
]


@pytest.mark.parametrize(("accept", "expected"), REAL_CLIENTS)
def test_real_clients(accept: str, expected: str) -> None:
    """What scrapers, browsers and curl send gets the best format they can read."""
    assert negotiate(accept).content_type == expected


@pytest.mark.parametrize("accept", [accept for accept, _ in REAL_CLIENTS])
def test_real_clients_get_what_the_official_client_answers(accept: str) -> None:
    """For every client met in practice the content type is byte for byte the official client's."""
    assert negotiate(accept).content_type == choose_encoder(accept)[1]


def test_no_header_is_text_0_0_4() -> None:
    """A client without an Accept header gets text 0.0.4."""
    assert negotiate(None).content_type == TEXT_0_0_4


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/plain;version=1.0.0;q=0.4,application/openmetrics-text;version=1.0.0;q=0.5", OPENMETRICS),
        ("text/plain;version=1.0.0;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4", TEXT_1_0_0),
        ("text/plain;version=0.0.4;q=0.009,text/plain;version=1.0.0;q=0.01", TEXT_1_0_0),
        ("text/plain;version=0.0.4;Q=1.000 , application/openmetrics-text ; version = 1.0.0 ; q = 0.999", TEXT_0_0_4),
        ("text/plain;version=0.0.4;q=0.1,*/*;q=0.05", TEXT_0_0_4),
        ("text/plain;q=0.5,application/openmetrics-text;q=0.4", TEXT_0_0_4),
    ],
)
def test_the_highest_quality_wins(accept: str, expected: str) -> None:
    """The format with the highest q is sent, whatever order the client names them in."""
    assert negotiate(accept).content_type == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*,application/openmetrics-text", OPENMETRICS),
        ("*/*,text/*,application/openmetrics-text;version=1.0.0", OPENMETRICS),
        ("application/openmetrics-text,text/plain;version=0.0.4", TEXT_0_0_4),
        ("application/*,text/plain", TEXT_0_0_4),
        ("text/*,application/openmetrics-text", OPENMETRICS),
    ],
)
def test_at_equal_quality_the_more_specific_wins(accept: str, expected: str) -> None:
    """A type with its version beats a type, which beats a half wildcard, which beats a full one."""
    assert negotiate(accept).content_type == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/plain;version=0.0.4,text/plain;version=1.0.0,application/openmetrics-text;version=1.0.0", OPENMETRICS),
        ("text/plain;version=0.0.4,text/plain;version=1.0.0", TEXT_1_0_0),
        ("text/plain,application/openmetrics-text", OPENMETRICS),
        ("application/*,text/*", TEXT_0_0_4),
        ("application/*", OPENMETRICS),
        ("text/*", TEXT_0_0_4),
    ],
)
def test_at_equal_specificity_the_richer_wins(accept: str, expected: str) -> None:
    """OpenMetrics comes before text 1.0.0 before text 0.0.4, except where only wildcards speak."""
    assert negotiate(accept).content_type == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/openmetrics-text;version=2.0.0", OPENMETRICS_2),
        ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=2.0.0", OPENMETRICS_2),
        ("application/openmetrics-text;version=2.0.0;q=0.5,application/openmetrics-text;version=1.0.0", OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/*,*/*", OPENMETRICS),
    ],
)
def test_openmetrics_2_only_when_named(accept: str, expected: str) -> None:
    """OpenMetrics 2.0.0 is sent to clients that name this version and to no other."""
    assert negotiate(accept).content_type == expected


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;version=9.9.9",
        "application/openmetrics-text;version=abc",
        "application/openmetrics-text;version=",
        "application/openmetrics-text;version=1.0",
        "text/plain;version=9.9.9",
        "text/plain;version=abc,application/openmetrics-text;version=0.0.1,image/png",
    ],
)
def test_unknown_versions_match_nothing(accept: str) -> None:
    """A version that cannot be written is never echoed; alone it gets the fallback, text 0.0.4."""
    assert negotiate(accept).content_type == TEXT_0_0_4


def test_an_unknown_version_leaves_the_other_ranges() -> None:
    """Behind a version that cannot be written the next range of the client decides."""
    accept = "application/openmetrics-text;version=9.9.9,text/plain;version=1.0.0;q=0.5,*/*;q=0.1"
    assert negotiate(accept).content_type == TEXT_1_0_0


@pytest.mark.parametrize("scheme", ["allow-utf-8", "underscores", "dots", "values"])
@pytest.mark.parametrize("media", ["text/plain", "application/openmetrics-text"])
def test_escaping_is_honoured(media: str, scheme: str) -> None:
    """Each of the four escaping schemes is used and named in the content type."""
    content_type = negotiate(f"{media};version=1.0.0;escaping={scheme}").content_type
    assert content_type == f"{media}; version=1.0.0; charset=utf-8; escaping={scheme}"


def test_escaping_belongs_to_its_own_range() -> None:
    """The scheme of the range that was chosen counts, not that of another."""
    accept = "application/openmetrics-text;version=1.0.0;escaping=dots;q=0.2,text/plain;version=1.0.0;escaping=values"
    assert negotiate(accept).content_type == TEXT_1_0_0.replace("underscores", "values")


@pytest.mark.parametrize("scheme", ["", "nonsense", "ALLOW-UTF-8", '"'])
def test_unknown_escaping_is_underscores(scheme: str) -> None:
    """A scheme nobody knows means underscores, which every client can read."""
    assert negotiate(f"text/plain;version=1.0.0;escaping={scheme}").content_type == TEXT_1_0_0


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/plain;version=0.0.4;escaping=allow-utf-8", TEXT_0_0_4),
        ("text/plain;escaping=allow-utf-8", TEXT_0_0_4),
        ("*/*;escaping=allow-utf-8", TEXT_0_0_4),
        ("application/openmetrics-text;escaping=allow-utf-8", OPENMETRICS),
    ],
)
def test_escaping_needs_a_version_that_knows_it(accept: str, expected: str) -> None:
    """Text 0.0.4 has no escaping parameter, and a client that names no version has not said that it knows one."""
    assert negotiate(accept).content_type == expected
    assert negotiate(accept).escaping == "underscores"


@pytest.mark.parametrize(
    "quality", ["abc", "", "-1", "2", "1.5", "1.001", "0.0001", ".5", "0,5", "nan", "inf", "1e-1", "٠"]
)
def test_a_malformed_quality_drops_its_range(quality: str) -> None:
    """A q that RFC 9110 does not allow is as if its range had not been sent."""
    accept = f"application/openmetrics-text;version=1.0.0;q={quality},text/plain;version=1.0.0;q=0.001"
    assert negotiate(accept).content_type == TEXT_1_0_0


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*;q=0", TEXT_0_0_4),
        ("*/*;q=0", TEXT_0_0_4),
        ("application/openmetrics-text;version=1.0.0;q=0", TEXT_0_0_4),
        ("application/openmetrics-text;version=1.0.0;q=0.000,text/plain;version=1.0.0;q=0.1", TEXT_1_0_0),
        ("text/plain;q=0,*/*", OPENMETRICS),
        ("text/plain;version=0.0.4;q=0,text/plain", TEXT_0_0_4),
        ("application/openmetrics-text;q=0,application/*", TEXT_0_0_4),
    ],
)
def test_quality_zero_refuses(accept: str, expected: str) -> None:
    """A format with q=0 is not sent, unless nothing is left: then it is text 0.0.4."""
    assert negotiate(accept).content_type == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (",,,", TEXT_0_0_4),
        (";;;", TEXT_0_0_4),
        (";q=1", TEXT_0_0_4),
        ("=", TEXT_0_0_4),
        ('"', TEXT_0_0_4),
        ('text/plain;version="1.0.0"', TEXT_1_0_0),
        ('text/plain;version="1.0.0', TEXT_1_0_0),
        ('image/png;title="a, text/plain;version=1.0.0"', TEXT_0_0_4),
        ('image/png;title="a\\", text/plain;version=1.0.0"', TEXT_0_0_4),
        (",, ;q=1,\ttext/plain;;version=1.0.0;, ", TEXT_1_0_0),
        ("TEXT/Plain;VERSION=1.0.0", TEXT_1_0_0),
        ("text/plain;version=1.0.0\x00\xff", TEXT_0_0_4),
        ("text/plain/;version=1.0.0", TEXT_0_0_4),
    ],
)
def test_malformed_headers(accept: str, expected: str) -> None:
    """What cannot be understood is left out, and the rest of the header still counts."""
    assert negotiate(accept).content_type == expected


_PIECES = st.sampled_from(
    ["text/plain", "application/openmetrics-text", "*/*", "*", ";", ",", "=", '"', "\\", "q", "version", "escaping"]
    + ["0", "1", "0.5", "1.0.0", "2.0.0", "0.0.4", "dots", " ", "\t"]
)


@given(st.one_of(st.text(), st.lists(_PIECES).map("".join)))
def test_no_header_raises(accept: str) -> None:
    """Whatever is sent, a format that can be written comes out, the same each time."""
    chosen = negotiate(accept)
    assert chosen.version in {"0.0.4", "1.0.0", "2.0.0"}
    assert chosen.escaping in {"allow-utf-8", "underscores", "dots", "values"}
    assert negotiate(accept) == chosen
    assert accepts_gzip(accept) in {True, False}


@pytest.mark.parametrize("accept", ["a," * 500_000, ";" * 1_000_000, '"\\' * 500_000, '"' * 1_000_001])
def test_huge_headers(accept: str) -> None:
    """A megabyte of commas, semicolons or quotes costs no more than its first few thousand characters."""
    started = perf_counter()
    assert negotiate(accept).content_type == TEXT_0_0_4
    assert not accepts_gzip(accept)
    assert perf_counter() - started < 1


def test_ranges_far_behind_do_not_count() -> None:
    """A header is read for 4,096 characters, ten times what any scraper sends."""
    assert negotiate("image/png," * 400 + "text/plain;version=1.0.0").content_type == TEXT_1_0_0
    assert negotiate("image/png," * 410 + "text/plain;version=1.0.0").content_type == TEXT_0_0_4


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, gzip;q=1.0, br", True),
        ("gzip;q=0.001", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("gzip;q=abc", False),
        ("gzip;q=2", False),
        ("identity", False),
        ("identity;q=1, gzip;q=0.5", False),
        ("identity;q=0.5, gzip;q=0.5", True),
        ("identity;q=0, gzip", True),
        ("*", False),
        ("*;q=0", False),
        ("br, zstd", False),
        ("gzipped", False),
        (",;=\x00", False),
    ],
)
def test_gzip(accept_encoding: str | None, expected: bool) -> None:
    """Only a client that names gzip, does not refuse it and does not like plain better gets it."""
    assert accepts_gzip(accept_encoding) is expected
