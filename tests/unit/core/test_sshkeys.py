"""Public key lines: shapes of the blob, what is refused and why, and what the real ssh-keygen says of the same key."""

import base64
import shutil
import subprocess

import pytest
from hypothesis import given, strategies as st

from hostadmin.core.errors import Invalid
from hostadmin.core.sshkeys import LIMIT, SHAPES, check_key, holds_private_key

ODD = (1 << 2047) | 1


def string(raw):
    return len(raw).to_bytes(4, "big") + raw


def mpint(number):
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def line(kind, *parts, inner=None, tail=b"", comment="anna@laptop"):
    blob = string((inner or kind).encode()) + b"".join(parts) + tail
    return f"{kind} {base64.b64encode(blob).decode()} {comment}".rstrip()


def ecdsa(curve, size, *, first=4, inner_curve=None, kind=None, tail=b""):
    return line(
        kind or f"ecdsa-sha2-{curve}", string((inner_curve or curve).encode()), string(bytes([first]) + b"\7" * (size - 1)), tail=tail
    )


def rsa(modulus=ODD, exponent=65537, **more):
    return line("ssh-rsa", mpint(exponent), mpint(modulus), **more)


def ed25519(size=32, **more):
    return line("ssh-ed25519", string(b"\7" * size), **more)


SK_ED, SK_EC = "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"
POINT = string(b"\4" + b"\7" * 64)
GOOD = {
    "ssh-ed25519": ed25519(),
    "ssh-rsa": rsa(),
    "ecdsa-sha2-nistp256": ecdsa("nistp256", 65),
    "ecdsa-sha2-nistp384": ecdsa("nistp384", 97),
    "ecdsa-sha2-nistp521": ecdsa("nistp521", 133),
    SK_ED: line(SK_ED, string(b"\7" * 32), string(b"ssh:")),
    SK_EC: line(SK_EC, string(b"nistp256"), POINT, string(b"ssh:")),
}
PLAIN = ed25519(comment="")
BODY = PLAIN.split()[1]
PEM = "-----BEGIN {} PRIVATE KEY-----\nMIIEpAIBAAKCAQEAsecretsecret\n-----END {} PRIVATE KEY-----"

REFUSED = {
    "nothing": ("", "empty"),
    "spaces": (" \t ", "empty"),
    "another white space": ("\x1f", "does not begin with a type"),
    "a separator that sshd does not know": (PLAIN.replace(" ", "\x1f"), "does not begin with a type"),
    "a no-break space": (PLAIN.replace(" ", "\u00a0"), "does not begin with a type"),
    "a no-break space before": (f"\u00a0{PLAIN}", "does not begin with a type"),
    "another white space behind the base64": (f"{PLAIN}\x0b", "not base64"),
    "a type alone": ("ssh-ed25519", "nothing behind the type"),
    "no type": (BODY, "does not begin with a type"),
    "another type": (f"ssh-ed448 {BODY}", "does not begin with a type"),
    "a type in capitals": (f"SSH-ED25519 {BODY}", "does not begin with a type"),
    "DSA": (line("ssh-dss", mpint(ODD), mpint(3), mpint(3), mpint(3)), "obsolete"),
    "a certificate": (f"ssh-ed25519-cert-v01@openssh.com {BODY}", "certificate"),
    "a command": (f'command="/bin/sh -c x" {PLAIN}', "options in front"),
    "an address": (f'from="10.0.0.0/8" {PLAIN}', "options in front"),
    "an option word": (f"no-pty {PLAIN}", "options in front"),
    "an authority": (f"cert-authority {GOOD['ssh-rsa']}", "options in front"),
    "options without a space in their text": (f'command="ls",no-pty {GOOD[SK_ED]}', "options in front"),
    "an environment": (f'environment="LD_PRELOAD=/x.so" {GOOD["ecdsa-sha2-nistp521"]}', "options in front"),
    "not base64": ("ssh-ed25519 ????", "not base64"),
    "base64 without padding": (f"ssh-ed25519 {GOOD['ecdsa-sha2-nistp384'].split()[1].rstrip('=')}", "base64"),
    "base64 with letters behind the padding": (f"ssh-ed25519 {BODY}====", "base64"),
    "the other base64": ("ssh-ed25519 AAAA-___", "not base64"),
    "base64 in other letters": ("ssh-ed25519 ÄÖÜß", "not base64"),
    "base64 with stray bits": ("ssh-ed25519 AAAAAAB=", "by hand"),
    "another type inside": (line("ssh-ed25519", string(b"\7" * 32), inner="ssh-rsa"), "type inside"),
    "a certificate inside": (line("ssh-ed25519", string(b"\7" * 32), inner="ssh-ed25519-cert-v01@openssh.com"), "type inside"),
    "empty base64": ("ssh-ed25519 AAAA", "cut"),
    "a length beyond the end": (f"ssh-ed25519 {base64.b64encode(bytes([255] * 40)).decode()}", "cut"),
    "cut": (f"ssh-ed25519 {base64.b64encode(base64.b64decode(BODY)[:-3]).decode()}", "cut"),
    "bytes behind it": (ed25519(tail=b"abc"), "3 bytes behind"),
    "a string behind it": (rsa(tail=string(b"x")), "5 bytes behind"),
    "Ed25519 of 31": (ed25519(31), "32 bytes"),
    "Ed25519 of 33": (ed25519(33), "32 bytes"),
    "RSA of 1024": (rsa((1 << 1023) | 1), "1024 bit"),
    "RSA of 2047": (rsa((1 << 2046) | 1), "2047 bit"),
    "RSA of 16385": (rsa((1 << 16384) | 1), "16385 bit"),
    "RSA, exponent 1": (rsa(exponent=1), "not those of an RSA"),
    "RSA, even exponent": (rsa(exponent=65536), "not those of an RSA"),
    "RSA, even modulus": (rsa(ODD - 1), "not those of an RSA"),
    "RSA, no exponent": (line("ssh-rsa", string(b""), mpint(ODD)), "RFC 4251"),
    "RSA, negative": (line("ssh-rsa", string(b"\x80\0\1"), mpint(ODD)), "RFC 4251"),
    "RSA, noughts in front": (line("ssh-rsa", string(b"\0\1\0\1"), mpint(ODD)), "RFC 4251"),
    "RSA, nought": (line("ssh-rsa", string(b"\0"), mpint(ODD)), "RFC 4251"),
    "RSA, modulus padded to 2048 bit": (line("ssh-rsa", mpint(65537), string(b"\0" * 200 + b"\x7f" * 57)), "RFC 4251"),
    "another curve inside": (ecdsa("nistp256", 65, inner_curve="nistp384"), "curve inside"),
    "another curve's point": (ecdsa("nistp256", 97), "65 bytes"),
    "a compressed point": (ecdsa("nistp256", 33, first=2), "65 bytes"),
    "a compressed point of full length": (ecdsa("nistp521", 133, first=2), "133 bytes"),
    "a security key without application": (line(SK_ED, string(b"\7" * 32)), "cut"),
    "a security key with an empty application": (line(SK_ED, string(b"\7" * 32), string(b"")), "application"),
    "a security key with an odd application": (line(SK_EC, string(b"nistp256"), POINT, string(b"ssh:\n")), "application"),
    "a security key with another alphabet": (line(SK_ED, string(b"\7" * 32), string("sshä".encode())), "application"),
    "two on a line": (f"{PLAIN} {PLAIN}", "another key stands behind it"),
    "two on a line with a comma": (f"{PLAIN} ashu@laptop,{GOOD[SK_ED]}", "another key stands behind it"),
    "two lines": (f"{PLAIN}\n{PLAIN}", "more than one line"),
    "an end of line": (f"{PLAIN}\n", "more than one line"),
    "a carriage return": (f"{PLAIN}\r", "more than one line"),
    "a comment with an escape": (f"{PLAIN} \x1b[31m", "comment"),
    "a comment that turns the line around": (f"{PLAIN} \u202egpj.exe", "comment"),
    "a comment with NUL": (f"{PLAIN} a\0b", "comment"),
    "a surrogate": (f"{PLAIN} \ud800", "comment"),
    "a long comment": (f"{PLAIN} {'x' * LIMIT}", "16384 bytes"),
    "a comment that is long in bytes": (f"{PLAIN} {'é' * (LIMIT // 2)}", "16384 bytes"),
    "RFC 4716": ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", "ssh-keygen -i"),
    "PKCS8": ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "ssh-keygen -i"),
    "OpenSSH's private key": (PEM.replace("{}", "OPENSSH"), "PRIVATE key"),
    "an old private key": (PEM.replace("{}", "RSA"), "PRIVATE key"),
    "PKCS8's private key": (PEM.replace("{} ", ""), "PRIVATE key"),
    "PuTTY's": ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none", "PRIVATE key"),
    "a private key without its frame": ("ssh-ed25519 b3BlbnNzaC1rZXktdjEAAAAABG5vbmU=", "PRIVATE key"),
}  # fmt: skip


@pytest.mark.parametrize("kind", GOOD)
def test_keys_that_are_taken(kind):
    key = check_key(GOOD[kind])
    assert key.type == kind
    assert key.comment == "anna@laptop"
    assert key.line == GOOD[kind]
    assert check_key(key.line) == key


def test_there_is_a_key_of_every_type():
    assert set(GOOD) == set(SHAPES)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_that_it_is_not_repeated(name):
    text, why = REFUSED[name]
    with pytest.raises(Invalid, match=why) as caught:
        check_key(text)
    assert caught.value.key in {"ssh-key", "ssh-private-key"}
    for part in (BODY, "secret", "10.0.0.0", "anna", "LD_PRELOAD", "AAAAB3"):
        assert part not in caught.value.message


def test_private_keys_are_known_from_public_ones():
    for name, (text, why) in REFUSED.items():
        assert holds_private_key(text) == (why == "PRIVATE key"), name
    assert not any(holds_private_key(text) for text in GOOD.values())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"  {PLAIN}  ", PLAIN),
        (PLAIN.replace(" ", "\t"), PLAIN),
        (f"{PLAIN}   Anna's old laptop, 2nd ", f"{PLAIN} Anna's old laptop, 2nd"),
        (f"{PLAIN} Kovács Ödön", f"{PLAIN} Kovács Ödön"),
        (f"{PLAIN} ssh-rsa key of mine", f"{PLAIN} ssh-rsa key of mine"),
    ],
)
def test_spaces_and_comments(text, wanted):
    assert check_key(text).line == wanted


def test_a_key_of_exactly_the_limit():
    text = f"{PLAIN} "
    assert check_key(text + "x" * (LIMIT - len(text))).comment


@given(st.binary(max_size=200), st.sampled_from(sorted(SHAPES)))
def test_any_blob_is_taken_or_refused(raw, kind):
    text = f"{kind} {base64.b64encode(string(kind.encode()) + raw).decode()}"
    try:
        assert check_key(text).line == text
    except Invalid as error:
        assert error.key == "ssh-key"


@given(st.text(max_size=200))
def test_any_text_is_taken_or_refused(text):
    with pytest.raises(Invalid):
        check_key(text)


@given(st.data())
def test_no_other_byte_goes_unnoticed(data):
    """A changed byte of the frame (lengths, types, curves) is refused; one of the key itself makes another fingerprint."""
    kind = data.draw(st.sampled_from(sorted(GOOD)))
    raw = bytearray(base64.b64decode(GOOD[kind].split()[1]))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        changed = check_key(f"{kind} {base64.b64encode(raw).decode()}")
    except Invalid:
        return
    assert changed.fingerprint != check_key(GOOD[kind]).fingerprint
    assert at >= 4 + len(kind)


@pytest.fixture(scope="module")
def keygen():
    program = shutil.which("ssh-keygen")
    if program is None:
        pytest.skip("ssh-keygen is not installed: nothing to compare with")
    return program


@pytest.mark.parametrize(
    "options",
    ["ed25519", "rsa -b 2048", "rsa -b 3072", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521"],
    ids=lambda o: o.replace(" -b ", "-"),
)
def test_fingerprints_are_those_of_ssh_keygen(keygen, tmp_path, options):
    place = tmp_path / "key"
    subprocess.run([keygen, "-q", "-N", "", "-C", "anna at home", "-t", *options.split(), "-f", str(place)], check=True, timeout=60)
    public = place.with_suffix(".pub")
    key = check_key(public.read_text().rstrip("\n"))
    listed = subprocess.run([keygen, "-l", "-f", str(public)], check=True, capture_output=True, text=True, timeout=60).stdout
    assert listed.split()[1] == key.fingerprint
    assert key.comment == "anna at home"
    assert f"{key.line}\n" == public.read_text()
    with pytest.raises(Invalid, match="PRIVATE key"):
        check_key(place.read_text())


@pytest.mark.parametrize("kind", [SK_ED, "ssh-rsa", "ssh-ed25519"])
def test_fingerprints_of_made_up_keys_too(keygen, tmp_path, kind):
    public = tmp_path / "key.pub"
    public.write_text(GOOD[kind] + "\n")
    listed = subprocess.run([keygen, "-l", "-f", str(public)], check=True, capture_output=True, text=True, timeout=60).stdout
    assert listed.split()[1] == check_key(GOOD[kind]).fingerprint


@pytest.mark.parametrize(
    "name", [n for n, (t, w) in REFUSED.items() if w in {"cut", "type inside", "32 bytes", "not base64", "curve inside", "65 bytes"}]
)
def test_what_ssh_keygen_cannot_read_is_not_taken(keygen, tmp_path, name):
    public = tmp_path / "key.pub"
    public.write_text(REFUSED[name][0] + "\n")
    listed = subprocess.run([keygen, "-l", "-f", str(public)], check=False, capture_output=True, text=True, timeout=60)
    if name not in {"Ed25519 of 33", "another white space behind the base64"}:  # stricter than ssh-keygen
        assert listed.returncode != 0, "the oracle agrees"
