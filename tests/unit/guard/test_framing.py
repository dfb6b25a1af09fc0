"""Heads and framing: strict, whatever the split, and never looser than httptools and h11."""

import h11
import httptools
import pytest
from hypothesis import given, strategies as st

from hostadmin.guard.framing import ChunkDecoder, parse_request_head, parse_response_head
from hostadmin.guard.refusal import Refusal


def head(*lines: str) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def test_a_head_of_the_docker_cli():
    raw = head(
        "POST /v1.41/exec/x/start HTTP/1.1",
        "Host: ",
        "User-Agent: Docker-Client/20.10",
        "Connection: Upgrade",
        "Upgrade: tcp",
        "Content-Length: 2",
    )
    found = parse_request_head(raw)
    assert (found.method, found.target, found.length, found.upgrade, found.keep_alive) == ("POST", "/v1.41/exec/x/start", 2, "tcp", True)


REFUSED = {
    "length and coding": ("POST / HTTP/1.1", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked"),
    "two lengths": ("POST / HTTP/1.1", "Host: a", "Content-Length: 1", "Content-Length: 1"),
    "list of lengths": ("POST / HTTP/1.1", "Host: a", "Content-Length: 5, 5"),
    "signed length": ("POST / HTTP/1.1", "Host: a", "Content-Length: +5"),
    "hex length": ("POST / HTTP/1.1", "Host: a", "Content-Length: 0x5"),
    "empty length": ("POST / HTTP/1.1", "Host: a", "Content-Length: "),
    "huge length": ("POST / HTTP/1.1", "Host: a", "Content-Length: 99999999999999999999"),
    "other coding": ("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked"),
    "chunked in 1.0": ("POST / HTTP/1.0", "Transfer-Encoding: chunked"),
    "no host": ("GET / HTTP/1.1", "Accept: a"),
    "two hosts": ("GET / HTTP/1.1", "Host: a", "Host: b"),
    "version 2": ("GET / HTTP/2.0", "Host: a"),
    "version 1.2": ("GET / HTTP/1.2", "Host: a"),
    "no version": ("GET /", "Host: a"),
    "lower-case method": ("get / HTTP/1.1", "Host: a"),
    "unknown method": ("BREW / HTTP/1.1", "Host: a"),
    "connect": ("CONNECT a:1 HTTP/1.1", "Host: a"),
    "two spaces": ("GET  / HTTP/1.1", "Host: a"),
    "folded line": ("GET / HTTP/1.1", "Host: a", "X: b", " c"),
    "space before colon": ("GET / HTTP/1.1", "Host : a"),
    "no colon": ("GET / HTTP/1.1", "Host: a", "nothing"),
    "control byte": ("GET / HTTP/1.1", "Host: a", "X: a\x01"),
    "NUL": ("GET / HTTP/1.1", "Host: a", "X: a\0"),
    "bare LF": ("GET / HTTP/1.1", "Host: a\nX: b"),
    "bare CR": ("GET / HTTP/1.1", "Host: a\rX: b"),
    "not ASCII in target": ("GET /\xff HTTP/1.1", "Host: a"),
    "unknown expect": ("POST / HTTP/1.1", "Host: a", "Expect: 200-ok"),
    "grpc": ("POST /moby.buildkit.v1.Control/Solve HTTP/1.1", "Host: a", "Content-Type: application/grpc+proto"),
    "no coding at all": ("POST / HTTP/1.1", "Host: a", "Content-Encoding: identity"),
    "two WebSocket keys": ("GET / HTTP/1.1", "Host: a", "Sec-WebSocket-Key: a", "sec-websocket-key: a"),
    "content coding": ("POST / HTTP/1.1", "Host: a", "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("lines", REFUSED.values(), ids=REFUSED.keys())
def test_what_two_parsers_could_read_differently_is_refused(lines):
    with pytest.raises(Refusal) as refused:
        parse_request_head(head(*lines))
    assert refused.value.close


@pytest.mark.parametrize(
    "raw",
    [
        b"PRI * HTTP/2.0\r\n\r\n",  # the preface of HTTP/2 (RFC 9113, 3.4), up to its first empty line
        head("POST /x HTTP/1.1", "Host: a", "Content-Type: Application/GRPC"),
        head("GET / HTTP/3.0", "Host: a"),
    ],
)
def test_other_protocols_are_told_the_version(raw):
    with pytest.raises(Refusal) as refused:
        parse_request_head(raw)
    assert (refused.value.status, refused.value.close) == (505, True)


def test_too_many_fields_are_refused():
    with pytest.raises(Refusal) as refused:
        parse_request_head(head("GET / HTTP/1.1", "Host: a", *(f"X{i}: 1" for i in range(101))))
    assert refused.value.status == 431


TOKENS = st.text("abcXYZ-019", min_size=1, max_size=12)
VALUES = st.text([chr(c) for c in range(0x20, 0x7F)], max_size=20)


@given(
    st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    st.text("abc/%2f.?=&", max_size=20),
    st.lists(st.tuples(TOKENS, VALUES), max_size=6),
    st.integers(0, 9),
)
def test_what_is_accepted_both_oracles_read_the_same(method, path, fields, length):
    raw = head(f"{method} /{path} HTTP/1.1", "Host: a", *(f"X-{k}: {v}" for k, v in fields), f"Content-Length: {length}")
    ours = parse_request_head(raw)
    seen: dict = {"headers": []}

    class Protocol:
        def on_url(self, url):
            seen["url"] = seen.get("url", b"") + url

        def on_header(self, name, value):
            seen["headers"].append((name.lower().decode(), value.decode("latin-1").strip(" \t")))

    parser = httptools.HttpRequestParser(Protocol())
    parser.feed_data(raw)
    assert parser.get_method().decode() == ours.method
    assert seen["url"].decode() == ours.target
    assert seen["headers"] == [(k, v.strip(" \t")) for k, v in ours.fields]
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    event = connection.next_event()
    assert (event.method.decode(), event.target.decode()) == (ours.method, ours.target)
    assert [(k.decode(), v.decode("latin-1")) for k, v in event.headers] == [(k, v.strip(" \t")) for k, v in ours.fields]


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise_anything_else(data):
    try:
        parse_request_head(data + b"\r\n\r\n")
    except Refusal:
        return


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 7))
def test_chunks_are_decoded_whatever_the_split(chunks, step):
    raw = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\nNEXT"
    decoder, out, rest = ChunkDecoder(), b"", b""
    for start in range(0, len(raw), step):
        block = raw[start : start + step]
        if decoder.done:
            rest += block
            continue
        pieces, rest = decoder.decode(block)
        out += b"".join(pieces)
    assert out == b"".join(chunks)
    assert decoder.done
    assert rest == b"NEXT"


@pytest.mark.parametrize(
    "raw",
    [
        b"5;a=b\r\nhello\r\n",
        b"0x5\r\n",
        b"+5\r\n",
        b" 5\r\n",
        b"5 \r\n",
        b"fffffffff\r\n",
        b"5\nhello",
        b"5\r\nhelloX\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"-1\r\n",
        b"\r\n",
    ],
)
def test_malformed_chunks_are_refused(raw):
    for step in (1, len(raw)):
        data = raw + b"padding to be sure" * 2
        decoder = ChunkDecoder()
        with pytest.raises(ValueError, match="malformed"):
            for start in range(0, len(data), step):
                decoder.decode(data[start : start + step])
            raise AssertionError(decoder.done)


def test_answers_of_the_engine():
    plain = parse_response_head(head("HTTP/1.1 200 OK", "Content-Length: 5"), method="GET")
    assert (plain.status, plain.length, plain.chunked, plain.keep_alive) == (200, 5, False, True)
    raw = parse_response_head(head("HTTP/1.1 200 OK", "Content-Type: application/vnd.docker.raw-stream"), method="POST")
    assert (raw.length, raw.chunked, raw.keep_alive) == (None, False, False)
    assert parse_response_head(head("HTTP/1.1 304 Not Modified"), method="POST").length == 0
    assert parse_response_head(head("HTTP/1.1 200 OK", "Content-Length: 9"), method="HEAD").length == 0


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Length: 5", "Content-Length: 5"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: gzip, chunked",),
        ("Content-Length: +5",),
        ("Content-Length: 1_0",),
        ("Content-Length: ",),
        ("Content-Length : 5",),
        ("X: a\rb",),
    ],
)
def test_answers_are_read_as_strictly_as_requests(fields):
    with pytest.raises(ValueError):
        parse_response_head(head("HTTP/1.1 200 OK", *fields), method="GET")
