"""Pages of OpenMetrics, right and wrong, that its parser is tried on."""

from __future__ import annotations

from pyrometer.families import Exemplar, Sample, Timestamp

NATIVE = "{count:24,sum:100,schema:0,zero_threshold:0.001,zero_count:4,"
NATIVE += "positive_spans:[0:2,1:2],negative_spans:[0:2,1:2],positive_deltas:[2,1,-3,3],negative_deltas:[2,1,-2,3]}"

ALL_TYPES = """\
# TYPE view counter
# HELP view Product "view" \\n second line \\\\
view_total{product="product1"} 8 # {trace_id="KOO5S4vxi0o"} 1 1520879607.789
view_created{product="product1"} 1.7e9
view_total{product="product2"} 2.0
# TYPE size_bytes gauge
# UNIT size_bytes bytes
size_bytes -Inf
# TYPE latency_seconds histogram
# HELP latency_seconds \

latency_seconds_bucket{le="0.1"} 3 # {} 0.05
latency_seconds_bucket{le="+Inf"} 4
latency_seconds_count 4
latency_seconds_sum 0.25
latency_seconds_created 1.5
# TYPE queue gaugehistogram
queue_bucket{le="-1"} 1
queue_bucket{le="+Inf"} 4
queue_gcount 4
queue_gsum -3
# TYPE age summary
age{quantile="0.5"} NaN
age_sum 2
age_count 3
# TYPE build info
build_info{version="1"} 1
# TYPE state stateset
state{state="on"} 1
state{state="off"} 0
# TYPE other unknown
other 1
bare{a="1"} 1
bare{a="2"} 2
# EOF
"""

H = "# TYPE a histogram\n"
G = "# TYPE a gaugehistogram\n"

# Read by both parsers, to equal families.
VALID = [
    "# EOF",
    "# EOF\n",
    ALL_TYPES,
    "a 1\n# EOF",
    "# HELP a \n# UNIT a \n# EOF\n",
    "# TYPE a gauge\n# TYPE b gauge\nb 1\n# EOF\n",
    "# TYPE a counter\na_total 9223372036854775808\n# EOF\n",
    '# TYPE a gauge\na{b="1"} 00012\na{b="2"} 1.\na{b="3"} .5\na{b="4"} 1e5\na{b="5"} +1E-5\na{} -0\n# EOF\n',
    'a{b="1"} NaN\na{b="2"} nan\na{b="3"} +Inf\na{b="4"} inf\na{b="5"} -INFINITY\na{b="6"} 1e999\n# EOF\n',
    '# TYPE a gauge\na{b="1"} 1 000\na{b="2"} 1 0.0\na{b="3"} 1 -0\n# EOF\n',
    '# TYPE a gauge\na{b="3"} 1 1.1\na{b="4"} 1 12345678901234567890.1234567890\n# EOF\n',
    '# TYPE a gauge\na{b="1"} 1 1.5e3\na{b="2"} 1 1.\na{b="3"} 1 +1\na{b="4"} 1 .5\na{b="5"} 1 -1.25\n# EOF\n',
    "# TYPE a gauge\na 1 1\na 2 2\na 3 2.5\na 4 2.5\n# EOF\n",
    "# TYPE a gauge\na 1 0.0000000000\na 2 0.0000000001\na 3 0.0000000010\n# EOF\n",
    '# TYPE a info\na_info{b="1"} 1 2\na_info{b="2"} 1 1\n# EOF\n',
    H + 'a_bucket{le="0"} 0\na_bucket{le="1e-04"} 0\na_bucket{le="1e+05"} 0\na_bucket{le="+Inf"} 3\n# EOF\n',
    '# TYPE a histogram\na_bucket{le="-Inf"} 0\na_bucket{le="-1.0"} 0\na_bucket{le="+Inf"} 3.0\n# EOF\n',
    '# TYPE a histogram\na_bucket{b="1",le="+Inf"} 0\na_bucket{le="+Inf",b="2"} 0\n# EOF\n',
    '# TYPE a histogram\na_bucket{le="1"} 2 # {b="c # {}"} 0.5 12\na_bucket{le="+Inf"} 2 # {} NaN\n# EOF\n',
    '# TYPE a counter\na_total{b="} # {"} 1 2 # {c="d",e="}{ \\\\"} 3 4\n# EOF\n',
    '# TYPE a counter\na_total 1 # {b="' + "x" * 127 + '"} 1\n# EOF\n',
    '# TYPE a gaugehistogram\na_bucket{le="+Inf"} 3 123 # {b="c"} 4 123\n# EOF\n',
    '# TYPE a gauge\na{b="\\\\",c="\\n",d="\\"",e="\\x",f="\\\\n",g="{},=# ",h="é\u2028\r"} 1\n# EOF\n',
    '# HELP a \\\\ \\n \\" \\x \\\n# EOF\n',
    "# HELP a he\0lp\r\n# EOF\n",
    '# TYPE "a.b" counter\n# HELP "a.b" x\n{"a.b_total","c d"="e"} 1\n{"a.b_total"} 1\n# EOF\n',
    '# TYPE a gauge\n{"a",b="c"} 1\n{b="d","a"} 1\n# EOF\n',
    f"# TYPE a histogram\na {NATIVE}\n# EOF\n",
    f'# TYPE a histogram\na{{}} {NATIVE}\na{{b="c"}} {NATIVE}\n# EOF\n',
    f'# TYPE "a.b" histogram\n{{"a.b"}} {NATIVE}\n{{"a.b","c"="{{d}}"}} {NATIVE}\n# EOF\n',
    "# TYPE a histogram\na {count:4,sum:-1.5e3,schema:-3,zero_threshold:2.9e-39,zero_count:0}\n# EOF\n",
    f'# TYPE a histogram\na {NATIVE}\na_bucket{{le="+Inf"}} 24\na_count 24\na_sum 100\na_created 5\n# EOF\n',
    H + "a {zero_count:1,schema:0,count:1,zero_threshold:1,sum:1,positive_spans:[],positive_deltas:[]}\n# EOF\n",
]

PAGE_END = "\n# EOF\n"

# Refused by both parsers: the page without its end, the line and column, and what the message begins with.
INVALID = [
    ("\n", 1, 1, "expected a sample, a description or '# EOF', got a blank line"),
    ("a 1\n", 2, 1, "expected a sample, a description or '# EOF', got a blank line"),
    ("a 1\n# EOF\nb 1", 3, 1, "expected nothing after '# EOF', got 'b 1'"),
    ("# EOF\n", 2, 1, "expected nothing after '# EOF', got a blank line"),
    ("a 1\n# EOFx", 2, 3, "expected HELP, TYPE, UNIT or EOF, got 'EOFx'"),
    ("# FOO a x", 1, 3, "expected HELP, TYPE, UNIT or EOF, got 'FOO'"),
    ("#HELP a x", 1, 2, "expected a space after '#', got 'H'"),
    (" # HELP a x", 1, 1, "expected a metric name, got ' '"),
    ("# HELP", 1, 7, "expected a space after HELP, got end of line"),
    ("# HELP ", 1, 8, "expected a metric name, got end of line"),
    ("# HELP a", 1, 9, "expected a space after the metric name, got end of line"),
    ("# HELP a\t", 1, 9, "expected a space after the metric name, got '\\t'"),
    ("# TYPE 1a gauge", 1, 8, "expected a metric name, got '1'"),
    ("# TYPE a ", 1, 10, "expected a metric type (counter, gauge, summary, "),
    ("# TYPE a untyped", 1, 10, "expected a metric type (counter, gauge, summary, "),
    ("# TYPE a gauge ", 1, 10, "expected a metric type (counter, gauge, summary, "),
    ("# UNIT a seconds", 1, 10, "expected a unit that the name \"a\" ends with, got 'seconds'"),
    ("# UNIT a_seconds seconds ", 1, 18, 'expected a unit that the name "a_seconds" ends with'),
    ("# TYPE a_u info\n# UNIT a_u u", 2, 12, "expected no unit on info \"a_u\", got 'u'"),
    ("# UNIT a_u u\n# TYPE a_u stateset", 2, 12, "expected no unit on stateset \"a_u\", got 'u'"),
    ("# HELP a x\n# HELP a x", 2, 3, 'expected one HELP line for "a", got a second one'),
    ("# TYPE a gauge\n# TYPE a gauge", 2, 3, 'expected one TYPE line for "a", got a second one'),
    ("# UNIT a_s s\n# UNIT a_s s", 2, 3, 'expected one UNIT line for "a_s", got a second one'),
    ("a 1\n# TYPE a gauge", 2, 3, 'expected TYPE before the samples of "a", got it after them'),
    ("# TYPE a gauge\na 1\n# HELP a x", 3, 3, 'expected HELP before the samples of "a", got it after them'),
    (
        "# TYPE a counter\n# TYPE b gauge\n# TYPE a counter",
        3,
        8,
        "expected names that no other family has, got counter",
    ),
    (
        "# TYPE a_created gauge\n# TYPE a counter",
        2,
        8,
        'expected names that no other family has, got counter "a", whose',
    ),
    ("# TYPE a counter\na 1", 2, 1, 'expected names that no other family has, got unknown "a", whose "a" is of "a"'),
    ("a 1\nb 1\na 2", 3, 1, "expected names that no other family has"),
    ("a", 1, 2, "expected a space before the value, got end of line"),
    ("a ", 1, 3, "expected a number, got end of line"),
    ("a  1", 1, 3, "expected a number, got ' '"),
    ("a 1 ", 1, 5, "expected a timestamp in seconds, got end of line"),
    ("a 1\t", 1, 3, "expected a number, got '1\\t'"),
    ("a 1\r", 1, 3, "expected a number, got '1\\r'"),
    ("a x", 1, 3, "expected a number, got 'x'"),
    ("a 1_2", 1, 3, "expected a number, got '1_2'"),
    ("a 0x1", 1, 3, "expected a number, got '0x1'"),
    ("1a 1", 1, 1, "expected a metric name, got '1'"),
    ("a.b 1", 1, 2, "expected a space before the value, got '.'"),
    ("a 1 z", 1, 5, "expected a timestamp in seconds, got 'z'"),
    ("a 1 1.1.1", 1, 5, "expected a timestamp in seconds, got '1.1.1'"),
    ("a 1 NaN", 1, 5, "expected a timestamp in seconds, got 'NaN'"),
    ("a 1 +Inf", 1, 5, "expected a timestamp in seconds, got '+Inf'"),
    ("a 1 1e999", 1, 5, "expected a timestamp in seconds, got '1e999'"),
    ("a 1 2 3", 1, 6, "expected ' # {' before the labels of an exemplar, got ' '"),
    ("a{b=c} 1", 1, 5, "expected a label value in quotes, got 'c'"),
    ('a{b="c} 1', 1, 10, "expected a closing quote for the one in column 5, got end of line"),
    ('a{b="c"d="e"} 1', 1, 8, "expected ',' or '}', got 'd'"),
    ('a{b="c",} 1', 1, 9, "expected a label name, got '}'"),
    ('a{,b="c"} 1', 1, 3, "expected a label name, got ','"),
    ('a{b="c",b="d"} 1', 1, 9, "expected each label once, got 'b' again"),
    ('a{__b="c"} 1', 1, 3, "expected a label name without the reserved prefix '__', got '__b'"),
    ('a{b="c"}', 1, 9, "expected a space before the value, got end of line"),
    ("{} 1", 1, 1, "expected a metric name before the labels or in quotes among them, got none"),
    (
        "# TYPE a gauge\na 1 # {} 1",
        2,
        5,
        'expected exemplars on counters and on histogram buckets alone, got one on "a"',
    ),
    ("# TYPE a counter\na_created 1 # {} 1", 2, 13, "expected exemplars on counters and on histogram buckets alone"),
    ("# TYPE a counter\na_total 1 #", 2, 10, "expected ' # {' before the labels of an exemplar"),
    ("# TYPE a counter\na_total 1 #{} 1", 2, 10, "expected ' # {' before the labels of an exemplar"),
    ("# TYPE a counter\na_total 1# {} 1", 2, 9, "expected a number, got '1#'"),
    ("# TYPE a counter\na_total 1 # {}1", 2, 15, "expected a space before the value of the exemplar, got '1'"),
    ("# TYPE a counter\na_total 1 # {} ", 2, 16, "expected a number as the value of the exemplar, got end of line"),
    ("# TYPE a counter\na_total 1 # {} 1 ", 2, 18, "expected a timestamp in seconds, got end of line"),
    ("# TYPE a counter\na_total 1 # {} 1 1 ", 2, 19, "expected nothing after the exemplar, got ' '"),
    (
        "# TYPE a counter\na_total 1 # {} 1 1 1",
        2,
        19,
        "expected nothing after the exemplar, got ' 1'",
    ),
    ('# TYPE a counter\na_total 1 # {b="' + "x" * 128 + '"} 1', 2, 13, "expected at most 128 characters"),
    ("# TYPE a counter\na_total NaN", 2, 9, "expected a value that is not NaN for _total, got NaN"),
    ("# TYPE a counter\na_total -1", 2, 9, "expected a value of 0 or more for _total, got -1"),
    ("# TYPE a summary\na_sum -1", 2, 7, "expected a value of 0 or more for _sum, got -1"),
    ("# TYPE a summary\na_count 0.5", 2, 9, "expected a whole number for _count, got 0.5"),
    ("# TYPE a summary\na_count +Inf", 2, 9, "expected a whole number for _count, got inf"),
    ("# TYPE a summary\na 1", 2, 1, 'expected a label "quantile" on "a", got labels {}'),
    (
        '# TYPE a summary\na{b="c",quantile="x"} 1',
        2,
        19,
        "expected a number from 0 to 1 in label \"quantile\", got 'x'",
    ),
    (
        '# TYPE a summary\na{quantile="1.01"} 1',
        2,
        13,
        "expected a number from 0 to 1 in label \"quantile\", got '1.01'",
    ),
    ('# TYPE a summary\na{quantile="NaN"} 1', 2, 13, "expected a number from 0 to 1 in label \"quantile\", got 'NaN'"),
    ('# TYPE a summary\na{quantile="0.5"} -1', 2, 19, "expected a quantile of 0 or more, got -1"),
    ("# TYPE a info\na_info 2", 2, 8, "expected the value 1 for an info, got 2"),
    ('# TYPE a stateset\na{a="b"} 2', 2, 10, "expected the value 0 or 1 for a stateset, got 2"),
    ('# TYPE a stateset\na{b="a"} 1', 2, 1, "expected the state in a label \"a\", got labels {'b': 'a'}"),
    (H + "a_bucket 1", 2, 1, 'expected a label "le" on "a_bucket", got labels {}'),
    (H + 'a_bucket{le="+INF"} 0', 2, 14, 'expected a number, or "+Inf" in label "le", got \'+INF\''),
    (H + 'a_bucket{le="NaN"} 0', 2, 14, 'expected a number, or "+Inf" in label "le", got \'NaN\''),
    (H + 'a_bucket{le="+Inf"} 0.5', 2, 21, "expected a whole number for _bucket, got 0.5"),
    (H + 'a_bucket{le="2"} 0\na_bucket{le="1"} 0', 3, 14, "expected a bound above 2.0, got 1.0"),
    (H + 'a_bucket{le="1"} 1\na_bucket{le="+Inf"} 0', 3, 21, "expected at least the 1 of the bucket before, got 0"),
    (H + 'a_bucket{le="1"} 1\nb 1', 2, 1, 'histogram "a": expected a bucket with le="+Inf" among the lines'),
    (H + "a_sum 1", 2, 1, 'histogram "a": expected a bucket with le="+Inf"'),
    (H + 'a_bucket{le="+Inf"} 0\na_count 1\na_sum 1', 4, 1, 'histogram "a": expected _count to equal the bucket'),
    (H + 'a_bucket{le="+Inf"} 0\na_sum 0', 3, 1, 'histogram "a": expected _count beside _sum, got none'),
    (H + 'a_bucket{le="+Inf"} 0\na_count 0', 3, 1, 'histogram "a": expected _sum beside _count, got none'),
    (H + 'a_bucket{le="-1"} 0\na_bucket{le="+Inf"} 0\na_count 0\na_sum 0', 5, 1, 'histogram "a": expected no _sum'),
    (G + 'a_bucket{le="+Inf"} 1\na_gsum NaN', 3, 8, "expected a value that is not NaN for _gsum"),
    (G + 'a_bucket{le="+Inf"} 1\na_gsum -1\na_gcount 1', 4, 1, 'gaugehistogram "a": expected a _gsum that is not'),
    (G + 'a_bucket{le="+Inf"} 1\na_gcount 1', 3, 1, 'gaugehistogram "a": expected _gsum beside _gcount, got none'),
    (
        '# TYPE a summary\na_sum{b="1"} 0\na_sum{b="2"} 0\na_count{b="1"} 0',
        4,
        1,
        'expected the lines of one series of "a"',
    ),
    ("# TYPE a gauge\na 0\na 0 0", 3, 3, "expected timestamps on all lines of a series or on none, got one"),
    ("# TYPE a gauge\na 0 0\na 0", 3, 3, "expected timestamps on all lines of a series or on none, got none"),
    ("# TYPE a gauge\na 0 1.1\na 0 1", 3, 5, "expected timestamps that do not go back, got an earlier one"),
    ("# TYPE a gauge\na 0 -1\na 0 -1.1", 3, 5, "expected timestamps that do not go back, got an earlier one"),
    (f"# TYPE a gauge\na {NATIVE}", 2, 3, "expected a number, got '{count:24,sum:100"),
    (f"{H}a_sum {NATIVE}", 2, 1, 'expected a native histogram of "a", got one of "a_sum"'),
    (H + "a {count:1,sum:1,schema:1,zero_threshold:1}", 2, 43, "expected the field 'zero_count', got '}'"),
    (H + "a {count:1.0,sum:1,schema:1,zero_threshold:1,zero_count:1}", 2, 10, "expected a whole number, got '1.0'"),
    (H + "a {count:1,sum:x,schema:1,zero_threshold:1,zero_count:1}", 2, 16, "expected a number, got 'x'"),
    (H + "a {}", 2, 4, "expected a field of a native histogram, got '}'"),
    (H + "a {count:1", 2, 11, "expected ',' or '}', got end of line"),
]

# Accepted by prometheus_client (or fatal to it) although the specification forbids it: refused here.
TOO_LAX = [
    ('a{ b="c"} 1', 1, 3, "expected a label name, got ' '"),
    ('a{b="c"}x1', 1, 9, "expected a space before the value, got 'x'"),
    ('a {b="c"} 1', 1, 3, "expected a number, got '{b=\"c\"}'"),
    ('a{b:c="d"} 1', 1, 4, "expected '=' after the label name 'b', got ':'"),
    ('a{""="d"} 1', 1, 3, "expected a label name, got empty quotes"),
    ("#  HELP a x", 1, 3, "expected HELP, TYPE, UNIT or EOF, got ' '"),
    ("# HELP  a x", 1, 8, "expected a metric name, got ' '"),
    ("# TYPE a  gauge", 1, 10, "expected a metric type (counter, gauge, "),
    ("a \u0661", 1, 3, "expected a number, got '\u0661'"),
    ("a +nan", 1, 3, "expected a number, got '+nan'"),
    ("a 1 1.+5", 1, 5, "expected a timestamp in seconds, got '1.+5'"),
    ("a 1\na 2", 2, 1, 'expected each series of "a" once, got one again'),
    ('# TYPE a counter\na_total 1 # {"b"} 1', 2, 17, "expected '=' after the label name 'b', got '}'"),
    (H + 'a_bucket{le="nan"} 0\na_bucket{le="+Inf"} 0', 2, 14, 'expected a number, or "+Inf" in label "le"'),
    (H + 'a_bucket{le="1_0"} 0\na_bucket{le="+Inf"} 0', 2, 14, 'expected a number, or "+Inf" in label "le"'),
    (f"{H}b {NATIVE}", 2, 1, 'expected a native histogram of "a", got one of "b"'),
    (f'{H}a{{b="c"}}{NATIVE}', 2, 9, "expected a space before the value, got '{'"),
    (f"{H}a {NATIVE}x", 2, len(NATIVE) + 3, "expected a space after the native histogram, got 'x'"),
    (f"{H}a {NATIVE[:-1]},extra:1}}", 2, len(NATIVE) + 3, "expected a field of a native histogram, got 'extra'"),
    (f"{H}a {NATIVE[:-1]},count:1}}", 2, len(NATIVE) + 3, "expected each field once, got 'count' again"),
    (f"{H}a {NATIVE.replace('-2,3]', '-2]')}", 2, len(NATIVE), "expected 4 negative_deltas for negative_spans, got 3"),
    (f"{H}a {NATIVE.replace('[0:2', '[0')}", 2, 80, "expected a span (offset:length), got '0'"),
    (f"{H}a {NATIVE.replace('count:24', 'count:-24')}", 2, 10, "expected a count of 0 or more, got '-24'"),
]

# Refused or misread by prometheus_client although the specification allows it: what it means is given here.
MISREAD: list[tuple[str, list[Sample]]] = [
    ('{"a.b"} 1', [Sample("a.b", {}, 1)]),
    (
        '# TYPE a counter\na_total 1 # {b="\\"}",c="\\\\"} 2',
        [Sample("a_total", {}, 1, None, Exemplar({"b": '"}', "c": "\\"}, 2))],
    ),
    ("a 1 -0.5", [Sample("a", {}, 1, -0.5)]),
    (
        "# TYPE a summary\na_count 1 1\na_sum 2 1\na_count 3 2\na_sum 4 2",
        [
            Sample("a_count", {}, 1, Timestamp(1, 0)),
            Sample("a_sum", {}, 2, Timestamp(1, 0)),
            Sample("a_count", {}, 3, Timestamp(2, 0)),
            Sample("a_sum", {}, 4, Timestamp(2, 0)),
        ],
    ),
    (
        "a 1 .5\na 2 1\na 3 1.5e0",
        [Sample("a", {}, 1, 0.5), Sample("a", {}, 2, Timestamp(1, 0)), Sample("a", {}, 3, 1.5)],
    ),
]
