"""Requests whose bytes are the input: JSON texts, content types, lengths, codings, headers, forms."""

from typing import Final

from tests.differential.bodies import request
from tests.differential.targets import Request

WRITTEN: Final = (
    b'{"Image":"alpine","Labels":{"a":"\\u00e4\\ud83d\\ude00"}}', '{"Image":"alpine","Labels":{"a":"ä\U0001f600"}}'.encode(), b'{"Image":"alpine","Labels":{"a":"\\u0041\\/\\b\\f"}}',
    b'{"\\u0049mage":"alpine","Labels":{"\\u0061":"b"}}', b' \t\r\n{ "Image" : "alpine" }\n ', b'{"Labels":{"z":"1","a":"2"},"Image":"alpine"}', b'{"image":"alpine"}', b'{"IMAGE":"alpine","Image":"alpine"}',
    b'{"Image":"alpine","Image":"alpine"}', b'{"Image":"alpine"}{"Image":"x"}', b'{"Image":"alpine"} x', b'{"Image":"alpine"}]', b'{"Image":"alpine"}\x00', b'\xef\xbb\xbf{"Image":"alpine"}', b'{"Image":"alpine","Labels":{"a":"\xff"}}',
    b'{"Image":"alpine","Labels":{"a":"\\ud800"}}', b'{"Image":"alpine","Labels":{"a":"\\u0000"}}', b'{"Image":"alpine","Labels":{"a":"\xc0\x80"}}', b'{"Image":"alpine","Labels":{"a":"\t"}}', b"{'Image':'alpine'}", b'{"Image":"alpine",}',
    b'{"Image":"alpine","StopTimeout":1e1}', b'{"Image":"alpine","StopTimeout":1.0}', b'{"Image":"alpine","StopTimeout":01}', b'{"Image":"alpine","StopTimeout":-0}', b'{"Image":"alpine","StopTimeout":+1}', b'{"Image":"alpine","StopTimeout":NaN}',
    b'{"Image":"alpine","Memory":67108864}', b'{"Image":"alpine","HostConfig":{"memory":67108864}}', b'{"Image":"alpine","HostConfig":{"\\u004demory":67108864}}', b'{"Image":"alpine","HostConfig":{"Memory":null,"memory":67108864}}',
    b"", b"null", b"[]", b"{}", b'"x"', b"1", b"{", b'{"Image":"alpine","Bogus":1}', '{"Image":"alpine","\u017fhell":["x"]}'.encode(), '{"Image":"alpine","HostConfig":{"\u212aernelMemory":1}}'.encode(), b'{"Image":"alpine","Labels":{"a":"1","a":"2"}}',
    b'{"Image":"alpine","Labels":' + b'{"a":' * 3 + b'"b"' + b"}" * 4, b'{"Image":"alpine","Labels":{"a":"' + b"x" * 60000 + b'"}}', b'{"Image":"alpine","Cmd":["\\u0065cho","\\t\\n\\r"]}',
)  # fmt: skip
"""Bodies of ContainerCreate, byte for byte."""

KINDS: Final = (
    *(
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-16",
        "application/json ;x",
        "text/json",
    ),
    *(
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json, text/plain",
        "",
        "application/jsonx",
        "application/json;",
    ),
)
HEADERS: Final = (
    *(
        "CONTENT-LENGTH: {n}",
        "content-length: {n}",
        "Content-Length:{n}",
        "Content-Length: {n} ",
        "Content-Length: +{n}",
        "Content-Length: 0{n}",
        "Content-Length: {m}",
    ),
    *(
        "Expect: 100-continue",
        "Expect: 100-Continue",
        "Connection: close",
        "Connection: keep-alive, x",
        "Connection: Upgrade",
        "Connection: Content-Length",
        "X-Registry-Auth: e30=",
    ),
    *(
        "Upgrade: tcp",
        "Accept: text/plain",
        "Content-Encoding: gzip",
        "Authorization: Basic eA==",
        "X-Meta-A: b",
        "Cookie: a=b",
        "X-Forwarded-For: 1",
        "Range: bytes=0-1",
    ),
    *(
        "X-HTTP-Method-Override: DELETE",
        "Content-Type: text/plain",
        "TE: trailers",
        "Host: x",
        "Content-MD5: x",
        "If-None-Match: *",
        "Transfer-Encoding: identity",
    ),
)


def _chunked(body: bytes, size: int, *, upper: bool = False, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    heads = [(b"%X" if upper else b"%x") % len(p) for p in parts]
    return b"".join(h + extension + b"\r\n" + p + b"\r\n" for h, p in zip(heads, parts, strict=True)) + b"0\r\n" + trailer + b"\r\n"


def written() -> list[Request]:
    """Return creations of a container whose bytes are the input: JSON texts, types, lengths, codings, headers."""
    create = "/v1.41/containers/create"
    body = b'{"Image":"alpine","Labels":{"a":"1"}}'
    found = [request(create, "container", text) for text in WRITTEN]
    found += [request(create, "container", body, kind=kind) for kind in KINDS] + [Request("POST", create, "container", body)]
    for line in HEADERS:
        found.append(request(create, "container", body, line.format(n=len(body), m=len(body) - 1)))
    chunked = "Transfer-Encoding: chunked"
    codings = [_chunked(body, n) for n in (1, 7, 1000)] + [
        _chunked(body, 20, upper=True),
        _chunked(body, 20, extension=b";a=b"),
        _chunked(body, 20, trailer=b"X: y\r\n"),
    ]
    found += [request(create, "container", coded, chunked) for coded in codings]
    found += [
        request(create, "container", codings[0], line)
        for line in ("transfer-encoding: Chunked", "Transfer-Encoding:  chunked ", "Transfer-Encoding: gzip, chunked")
    ]
    form = "Content-Type: application/x-www-form-urlencoded"
    found += [Request("POST", "/containers/{IDLE}/rename?name=one", "idle", data, (form,)) for data in (b"name=two", b"x=y", b"")]
    found += [
        Request("POST", "/containers/{IDLE}/rename?name=one", "idle", data, (kind,))
        for data, kind in ((b"name=two", "Content-Type: text/plain"), (b'{"name":"two"}', "Content-Type: application/json"))
    ]
    found += [Request("GET", "/containers/json?all=1", "", data, (form,)) for data in (b"all=0", b"")]
    return found
