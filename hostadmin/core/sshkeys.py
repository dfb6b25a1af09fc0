"""Public keys as they stand in authorized_keys (sshd(8), AUTHORIZED_KEYS FILE FORMAT): one line, checked to its last byte.

The blob is a sequence of wire strings (RFC 4251 5): RFC 4253 6.6 (RSA), RFC 5656 3.1 (ECDSA), RFC 8709 4 (Ed25519),
OpenSSH's PROTOCOL.u2f (security keys). No message repeats any part of what was given: it may be a private key.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hostadmin.core.errors import Invalid

LIMIT: Final = 16 * 1024
"""Bytes of one line."""

RSA_BITS: Final = (2048, 16384)
"""Fewest: what OpenSSH 9 and NIST SP 800-131A ask for. Most: OpenSSH's own limit."""

POINT_BYTES: Final = {"nistp256": 65, "nistp384": 97, "nistp521": 133}
"""An uncompressed point: 0x04 and two coordinates."""

PRIVATE: Final = re.compile(r"PRIVATE KEY|PuTTY-User-Key-File|b3BlbnNzaC1rZXktdjE")
"""What only a private key has in it: PEM's words, PuTTY's, or the beginning of OpenSSH's own form in base64."""

_FOREIGN_FORM: Final = re.compile(r"-----? ?BEGIN ", re.IGNORECASE)
_OLD: Final = frozenset({"ssh-dss", "ssh-rsa1"})
_TYPES: Final = r"(?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-nistp\d+|sk-(?:ssh|ecdsa)-[a-z0-9@.-]+)"
_TYPE_IN_IT: Final = re.compile(rf"(?:^|[ \t\"]){_TYPES}[ \t]")
KEY_BEGINS: Final = rf"{_TYPES}[ \t]+AAAA"
"""A regular expression for how every key begins: the blob's first bytes are a short length."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A checked public key: its type, its blob in base64, its comment, and the fingerprint that ``ssh-keygen -l`` prints."""

    type: str
    blob: str
    comment: str
    fingerprint: str

    @property
    def line(self) -> str:
        """The line for authorized_keys, without options and without an end of line."""
        return f"{self.type} {self.blob} {self.comment}".rstrip()


def holds_private_key(text: str) -> bool:
    """Tell whether there is a private key, or the beginning of one, in a text."""
    return PRIVATE.search(text) is not None


def check_key(text: str) -> PublicKey:
    """Return one public key line, checked.

    Args:
        text: type, base64, and optionally a comment, separated by spaces or tabs.

    Raises:
        Invalid: why not, in words that repeat nothing of the text.

    """
    _look_at_whole(text)
    kind, *rest = re.split(r"[ \t]+", text.strip(" \t"), maxsplit=2)
    if kind not in SHAPES:
        raise _refused(_why_not_a_type(kind, text))
    if not rest:
        raise _refused("there is nothing behind the type")
    comment = rest[1].strip(" ") if len(rest) > 1 else ""
    if not comment.isprintable():
        raise _refused("its comment has characters that cannot be printed")
    if re.search(KEY_BEGINS, comment):  # sshd would take it for a part of the comment
        raise _refused("another key stands behind it on the same line")
    raw = _decode(rest[0])
    wire = _Wire(raw)
    if wire.string() != kind.encode():
        raise _refused("the type inside the base64 is not the type in front of it")
    SHAPES[kind](wire)
    wire.end()
    digest = base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
    return PublicKey(kind, rest[0], comment, f"SHA256:{digest}")


def _look_at_whole(text: str) -> None:
    if len(text) > LIMIT or len(text.encode("utf-8", "surrogatepass")) > LIMIT:
        raise _refused(f"it has more than {LIMIT} bytes")
    if holds_private_key(text):
        raise _refused(
            "it is a PRIVATE key. Whoever sent it should make a new pair, because this one has been seen; give the .pub file's line",
            key="ssh-private-key",
        )
    if _FOREIGN_FORM.search(text):
        raise _refused("it is a key file of another form; `ssh-keygen -i -f FILE` prints the line that is wanted")
    if "\n" in text or "\r" in text:
        raise _refused("it has more than one line")
    if not text.strip(" \t"):
        raise _refused("it is empty")


def _why_not_a_type(kind: str, text: str) -> str:
    if kind in _OLD:
        return "keys of that type are obsolete; `ssh-keygen -t ed25519` makes a better one"
    if kind.endswith("-cert-v01@openssh.com"):
        return "it is a certificate, not a public key"
    if _TYPE_IN_IT.search(text):
        return "there are options in front of the key (command=, from= and the like), which are not taken from a roster"
    return f"it does not begin with a type of key: {', '.join(SHAPES)}"


def _decode(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise _refused("its second word is not base64; the line was cut or wrapped") from None
    if base64.b64encode(raw).decode() != text:
        raise _refused("its base64 is not what a program would write; the line was changed by hand")
    return raw


class _Wire:
    """A blob that is read string by string."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def string(self) -> bytes:
        start = self._at + 4
        end = start + int.from_bytes(self._raw[self._at : start], "big")
        if start > len(self._raw) or end > len(self._raw):
            raise _refused("it ends in the middle; the line was cut")
        self._at = end
        return self._raw[start:end]

    def number(self) -> int:
        """Read an mpint that must be positive and written in the shortest way (RFC 4251 5)."""
        raw = self.string()
        if not raw or raw[0] & 0x80 or (raw[0] == 0 and (len(raw) == 1 or not raw[1] & 0x80)):
            raise _refused("a number in it is not positive, or not written as RFC 4251 says")
        return int.from_bytes(raw, "big")

    def end(self) -> None:
        if self._at != len(self._raw):
            raise _refused(f"there are {len(self._raw) - self._at} bytes behind its end")


def _rsa(wire: _Wire) -> None:
    exponent, modulus = wire.number(), wire.number()
    fewest, most = RSA_BITS
    bits = modulus.bit_length()
    if not fewest <= bits <= most:
        raise _refused(f"it is an RSA key of {bits} bit; {fewest} to {most} are taken, and `ssh-keygen -t ed25519` makes a better one")
    if exponent < 3 or not exponent & 1 or not modulus & 1 or exponent >= modulus:
        raise _refused("its numbers are not those of an RSA key")


def _ed25519(wire: _Wire) -> None:
    if len(wire.string()) != 32:
        raise _refused("an Ed25519 key has 32 bytes, this one has not")


def _ecdsa(curve: str) -> Callable[[_Wire], None]:
    def check(wire: _Wire) -> None:
        if wire.string() != curve.encode():
            raise _refused("the curve inside the base64 is not the one of its type")
        point = wire.string()
        if len(point) != POINT_BYTES[curve] or point[0] != 4:
            raise _refused(f"it is no uncompressed point of {curve} ({POINT_BYTES[curve]} bytes)")

    return check


def _on_security_key(inner: Callable[[_Wire], None]) -> Callable[[_Wire], None]:
    def check(wire: _Wire) -> None:
        inner(wire)
        application = wire.string()
        if not application.isascii() or not application.decode("ascii").isprintable() or not application:
            raise _refused("the application of its security key is not printable")

    return check


SHAPES: Final[dict[str, Callable[[_Wire], None]]] = {
    "ssh-ed25519": _ed25519,
    "ssh-rsa": _rsa,
    "ecdsa-sha2-nistp256": _ecdsa("nistp256"),
    "ecdsa-sha2-nistp384": _ecdsa("nistp384"),
    "ecdsa-sha2-nistp521": _ecdsa("nistp521"),
    "sk-ssh-ed25519@openssh.com": _on_security_key(_ed25519),
    "sk-ecdsa-sha2-nistp256@openssh.com": _on_security_key(_ecdsa("nistp256")),
}
"""The types that are taken, and what must stand behind the type in the blob."""


def _refused(why: str, *, key: str = "ssh-key") -> Invalid:
    return Invalid(f"Refused SSH key: {why}.", key=key)
