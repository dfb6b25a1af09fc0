"""Attach by WebSocket: two handshakes (RFC 6455, 4.2), the caller's and our own; frames pass only after the grant.

The engine never answers a malformed handshake here (moby ``wsContainersAttach`` waits for the connection), so
one that is not exactly right does not reach it. A ``GET`` that can write into a container (``engine-api.md`` 1.7
S9): judged and recorded as the ``POST`` form is.
"""

import base64
import hashlib
import os
import re
from typing import Final

from hostadmin.audit.journal import Intent
from hostadmin.guard.channel import Gone
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.refusal import malformed
from hostadmin.guard.rules import containers, mounts, resolve
from hostadmin.guard.rules.streams import finish_stream

VERSION: Final = "13"
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")  # 16 bytes
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


def read_key(x: Exchange) -> str:
    """Return the key of the caller's handshake.

    Raises:
        Refusal: 400, it is not a WebSocket handshake of version 13.

    """
    key, version = x.head.get("sec-websocket-key") or "", x.head.get("sec-websocket-version")
    if x.head.upgrade != "websocket" or x.head.minor == 0:
        raise malformed("attaching by WebSocket needs Connection: Upgrade and Upgrade: websocket")
    if version != VERSION:
        raise malformed(f"attaching by WebSocket needs Sec-WebSocket-Version: {VERSION}")
    if not _KEY.fullmatch(key):
        raise malformed("Sec-WebSocket-Key must be 16 bytes in base64")
    return key


def accept_of(key: str) -> str:
    """Return the ``Sec-WebSocket-Accept`` that answers a key."""
    digest = hashlib.sha1(f"{key}{_GUID}".encode("ascii"), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


async def attach(x: Exchange) -> None:
    """Attach to an own container by WebSocket."""
    key = read_key(x)
    found = await resolve.inspect_container(x, x.params[0])
    mounts.check_enterable(x, found, "attach to")
    full = found["Id"]
    intent = await x.intend(x.entry(containers.target(x, full, x.params[0]), detail={"by": "websocket"}))
    target = x.target("containers", full, "attach", "ws", query=x.query.pairs(*x.route.query))
    await join(x, target, key, intent)


async def join(x: Exchange, target: str, key: str, intent: Intent) -> None:
    """Shake hands with the engine, then with the caller, and join the two."""
    await x.read_nothing()
    ours = base64.b64encode(os.urandom(16)).decode("ascii")
    fields = (
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", VERSION),
        ("Sec-WebSocket-Key", ours),
    )
    response = await x.upstream.request("GET", target, fields=fields)
    if response.status != 101:
        await x.conclude(intent, "error", detail={"http": response.status})
        await x.send_response(response)
        return
    if response.head.get("sec-websocket-accept") != accept_of(ours):
        await x.conclude(intent, "error")
        raise Gone("the engine's handshake is not an answer to ours")
    await finish_stream(x, intent, await x.hijack(response, fields=(("Sec-WebSocket-Accept", accept_of(key)),)))
