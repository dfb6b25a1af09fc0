"""The wire: requests that two readers of HTTP could take apart differently. ``$C`` is the victim's container.

Each tries to get an operation past the judgement that an honest request would meet: the removal of the victim's
container, or a privileged container.
"""

from typing import Final

EVIL: Final = b'{"Image":"alpine","Cmd":["sleep","100"],"HostConfig":{"Privileged":true}}'
GOOD: Final = b'{"Image":"alpine","Cmd":["sleep","100"]}'
REMOVE: Final = b"DELETE /v1.41/containers/$C?force=1 HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"


def _create(fields: bytes, body: bytes, *, query: bytes = b"name=ashunew", version: bytes = b"HTTP/1.1") -> bytes:
    return b"POST /v1.41/containers/create?%b %b\r\nHost: d\r\n%b\r\n%b" % (query, version, fields, body)


def _chunked(*sizes: bytes, coding: bytes = b"Transfer-Encoding: chunked\r\n", body: bytes = EVIL) -> bytes:
    return _create(coding, b"".join(s.replace(b"SIZE", b"%x" % len(body)).replace(b"BODY", body) for s in sizes))


def _remove(target: bytes, *, line: bytes = b"DELETE %b HTTP/1.1\r\n", fields: bytes = b"") -> bytes:
    return line.replace(b"%b", target) + b"Host: d\r\nConnection: close\r\n" + fields + b"\r\n"


def _post(target: bytes, kind: bytes, body: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        target,
        kind,
        len(body),
        body,
    )


FORM: Final = b"application/x-www-form-urlencoded"
LENGTH: Final = b"Content-Length: %d\r\n" % len(EVIL)
WHOLE: Final = (b"SIZE\r\nBODY\r\n", b"0\r\n\r\n")

FRAMING: Final[dict[str, bytes]] = {
    "two-lengths": _create(b"Content-Length: 0\r\n" + LENGTH, EVIL),
    "two-lengths-the-other-way": _create(LENGTH + b"Content-Length: 0\r\n", EVIL),
    "length-list": _create(b"Content-Length: %d, %d\r\n" % (len(EVIL), len(EVIL)), EVIL),
    "length-with-sign": _create(b"Content-Length: +%d\r\n" % len(EVIL), EVIL),
    "length-in-hex": _create(b"Content-Length: 0x%x\r\n" % len(EVIL), EVIL),
    "length-with-space-inside": _create(b"Content-Length: 1 0\r\n", EVIL),
    "length-with-underscore": _create(b"Content-Length: 4_0\r\n", EVIL),
    "length-negative": _create(b"Content-Length: -1\r\n", EVIL),
    "length-of-nothing-and-a-body": _create(b"Content-Length: 0\r\n", REMOVE),
    "no-length-and-a-body": _create(b"", REMOVE),
    "length-too-short": _create(b"Content-Length: 10\r\n", b"\x7b\x7d        " + REMOVE),
    "length-and-chunked": _create(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + REMOVE),
    "chunked-and-length": _create(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + REMOVE),
    "chunked-twice": _chunked(*WHOLE, coding=b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    "chunked-then-identity": _chunked(*WHOLE, coding=b"Transfer-Encoding: chunked, identity\r\n"),
    "gzip-then-chunked": _chunked(*WHOLE, coding=b"Transfer-Encoding: gzip, chunked\r\n"),
    "chunked-with-a-space-before-the-colon": _chunked(*WHOLE, coding=b"Transfer-Encoding : chunked\r\n"),
    "chunked-with-a-vertical-tab": _chunked(*WHOLE, coding=b"Transfer-Encoding: \x0bchunked\r\n"),
    "chunked-folded": _chunked(*WHOLE, coding=b"Transfer-Encoding:\r\n chunked\r\n"),
    "chunked-hidden-in-a-fold": _chunked(*WHOLE, coding=b"X: y\r\n Transfer-Encoding: chunked\r\n"),
    "chunked-behind-a-bare-return": _chunked(*WHOLE, coding=b"X: y\rTransfer-Encoding: chunked\r\n"),
    "chunked-behind-a-bare-feed": _chunked(*WHOLE, coding=b"X: y\nTransfer-Encoding: chunked\r\n"),
    "chunked-misspelt": _chunked(*WHOLE, coding=b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n"),
    "chunked-quoted": _chunked(*WHOLE, coding=b'Transfer-Encoding: "chunked"\r\n'),
    "chunked-in-one-point-zero": _create(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n" + REMOVE, version=b"HTTP/1.0"),
    "chunk-extension": _chunked(b"SIZE;x=y\r\nBODY\r\n", b"0\r\n\r\n"),
    "chunk-size-with-sign": _chunked(b"+SIZE\r\nBODY\r\n", b"0\r\n\r\n"),
    "chunk-size-with-prefix": _chunked(b"0xSIZE\r\nBODY\r\n", b"0\r\n\r\n"),
    "chunk-size-beyond-64-bits": _chunked(b"100000000000000SIZE\r\nBODY\r\n", b"0\r\n\r\n"),
    "chunk-size-with-blanks": _chunked(b" SIZE \r\nBODY\r\n", b"0\r\n\r\n"),
    "chunk-with-bare-feeds": _chunked(b"SIZE\nBODY\n", b"0\n\n"),
    "chunk-too-long": _chunked(b"SIZE\r\nBODYx\r\n", b"0\r\n\r\n"),
    "chunk-trailer": _chunked(b"SIZE\r\nBODY\r\n", b"0\r\nContent-Length: 5\r\n\r\n"),
    "chunk-without-last": _chunked(b"SIZE\r\nBODY\r\n"),
    "gzip-body": _create(LENGTH + b"Content-Encoding: gzip\r\n", EVIL),
    "expect-something": _create(LENGTH + b"Expect: 200-ok\r\n", EVIL),
    "expect-twice": _create(LENGTH + b"Expect: 100-continue\r\nExpect: 100-continue\r\n", EVIL),
    "expect-and-evil": _create(LENGTH + b"Expect: 100-continue\r\n", EVIL),
    "host-twice": _create(b"Host: e\r\n" + LENGTH, EVIL),
    "no-host": b"DELETE /v1.41/containers/$C?force=1 HTTP/1.1\r\n\r\n",
    "head-of-feeds": REMOVE.replace(b"\r\n", b"\n"),
    "empty-lines-first": b"\r\n\r\n" + REMOVE,
    "head-with-nul": REMOVE.replace(b"Host: d", b"Host: d\0"),
    "huge-head": REMOVE.replace(b"Host: d", b"Host: d\r\nX: " + b"y" * 40_000),
    "many-fields": REMOVE.replace(b"Host: d", b"Host: d" + b"\r\nX: y" * 300),
    "no-version": b"DELETE /v1.41/containers/$C?force=1\r\n\r\n",
    "version-one-point-two": REMOVE.replace(b"HTTP/1.1", b"HTTP/1.2"),
    "version-two": REMOVE.replace(b"HTTP/1.1", b"HTTP/2.0"),
    "two-spaces-in-the-line": REMOVE.replace(b"DELETE ", b"DELETE  "),
    "tab-in-the-line": REMOVE.replace(b"DELETE ", b"DELETE\t"),
    "http2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "http2-upgrade": b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
    + REMOVE,
    "behind-a-tunnel-that-was-not-granted": b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + REMOVE,
    "behind-a-refused-attach": b"POST /v1.41/containers/$C/attach?stream=1&stdin=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    + REMOVE,
    "behind-a-refused-exec": b"POST /v1.41/exec/$E/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    + REMOVE,
    "behind-a-session": b"POST /session HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + REMOVE,
    "behind-grpc": b"POST /grpc HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + REMOVE,
    "grpc-media-type": _post(b"/moby.buildkit.v1.Control/DiskUsage", b"application/grpc", bytes(5)),
    "inside-the-body-of-a-get": b"GET /_ping HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\nabc" + REMOVE,
    "method-override": b"GET /v1.41/containers/$C?force=1 HTTP/1.1\r\nHost: d\r\nX-HTTP-Method-Override: DELETE\r\nConnection: close\r\n\r\n",
    "method-in-lower-case": REMOVE.replace(b"DELETE", b"delete"),
    "method-of-a-proxy": b"CONNECT docker:80 HTTP/1.1\r\nHost: d\r\n\r\n" + REMOVE,
    "method-trace": b"TRACE /v1.41/containers/$C/json HTTP/1.1\r\nHost: d\r\n\r\n",
    "options-star": b"OPTIONS * HTTP/1.1\r\nHost: d\r\n\r\n" + REMOVE,
    "head-instead-of-get": b"HEAD /v1.41/containers/$C/json HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",
}
X: Final = b"/v1.41/containers/$C?force=1"
TARGETS: Final[dict[str, bytes]] = {
    "absolute-form": _remove(b"http://docker" + X),
    "authority-only": _remove(b"//docker" + X),
    "dot-segment": _remove(b"/v1.41/./containers/$C?force=1"),
    "dot-dot-segment": _remove(b"/v1.41/containers/ashuc/../$C?force=1"),
    "encoded-dots": _remove(b"/v1.41/containers/ashuc/%2e%2e/$C?force=1"),
    "encoded-slash": _remove(b"/v1.41/containers/ashuc%2f..%2f$C?force=1"),
    "encoded-slash-in-front": _remove(b"/v1.41/containers/%2f$C?force=1"),
    "encoded-letters": _remove(b"/v1.41/%63ontainers/$C?force=1"),
    "encoded-version": _remove(b"/%761.41/containers/$C?force=1"),
    "encoded-twice": _remove(b"/v1.41/containers/%2564evc?force=1"),
    "encoded-name": _remove(b"/v1.41/containers/%64evc?force=1"),
    "double-slash": _remove(b"/v1.41//containers/$C?force=1"),
    "slash-at-the-end": _remove(b"/v1.41/containers/$C/?force=1"),
    "no-version": _remove(b"/containers/$C?force=1"),
    "version-in-capitals": _remove(b"/V1.41/containers/$C?force=1"),
    "version-with-zeros": _remove(b"/v01.041/containers/$C?force=1"),
    "version-with-more": _remove(b"/v1.41.0/containers/$C?force=1"),
    "version-too-old": _remove(b"/v1.12/containers/$C?force=1"),
    "version-too-new": _remove(b"/v1.99/containers/$C?force=1"),
    "version-in-other-digits": _remove(b"/v1.%D9%A4%D9%A1/containers/$C?force=1"),
    "semicolon-parameter": _remove(b"/v1.41/containers/$C?v=0;force=1"),
    "semicolon-in-the-path": _remove(b"/v1.41/containers/$C;x=1?force=1"),
    "parameter-twice": _remove(b"/v1.41/containers/$C?force=0&force=1"),
    "parameter-in-other-case": _remove(b"/v1.41/containers/$C?Force=1"),
    "parameter-with-nul": _remove(b"/v1.41/containers/$C?force=1%00"),
    "parameter-unknown": _remove(b"/v1.41/containers/$C?force=1&x=1"),
    "path-with-nul": _remove(b"/v1.41/containers/$C%00?force=1"),
    "path-with-a-line-break": _remove(b"/v1.41/containers/$C%0d%0aX:%20y?force=1"),
    "path-not-utf-8": _remove(b"/v1.41/containers/$C%ff?force=1"),
    "fragment": _remove(b"/v1.41/containers/$C?force=1#x"),
    "backslash": _remove(b"/v1.41\\containers\\$C?force=1"),
    "letters-beyond-ascii": _remove(b"/v1.41/containers/$C\xc3\xa4?force=1"),
    "bad-escape": _remove(b"/v1.41/containers/$C%?force=1%zz"),
    "literal-as-a-name": b"DELETE /v1.41/containers/json?force=1 HTTP/1.1\r\nHost: d\r\n\r\n" + REMOVE,
    "commit-by-a-form": _post(b"/v1.41/commit?repo=ashunew", FORM, b"container=$C"),
    "commit-by-a-form-beside-the-query": _post(b"/v1.41/commit?container=ashuc&repo=ashunew", FORM, b"container=$C&repo=alpine"),
    "commit-of-two": _post(b"/v1.41/commit?container=ashuc&container=$C&repo=ashunew", b"application/json", b"{}"),
    "create-by-a-form": _post(b"/v1.41/containers/create", FORM, b"name=ashunew"),
    "import-by-a-form": _post(b"/v1.41/images/create", FORM, b"fromSrc=http://127.0.0.1:1/x&repo=ashunew"),
    "kill-by-a-form": _post(b"/v1.41/containers/$C/kill", FORM, b"signal=KILL"),
    "exec-by-a-form": _post(b"/v1.41/containers/ashuc/exec", FORM, b"Privileged=true&Cmd=id"),
    "multipart": _post(
        b"/v1.41/commit?repo=ashunew",
        b"multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="container"\r\n\r\n$C\r\n--b--\r\n',
    ),
    "tag-by-a-form": _post(b"/v1.41/images/alpine/tag", FORM, b"repo=devimg&tag=v1"),
    "rename-by-a-form": _post(b"/v1.41/containers/$C/rename", FORM, b"name=ashutook"),
}
