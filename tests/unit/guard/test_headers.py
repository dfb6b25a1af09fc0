"""Registry credentials in headers: exact, written anew, and never in an error."""

import base64
import json

import pytest
from hypothesis import given, strategies as st

from hostadmin.guard.framing import parse_request_head
from hostadmin.guard.headers import FORWARDED, auth_config, encode, forwarded, registry_auth, registry_configs
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.routes import ROUTES

SECRET = "hunter2-is-my-secret"  # noqa: S105  # the word that must not come back


def coded(text: str | bytes) -> str:
    return base64.urlsafe_b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def head(*fields: str):
    return parse_request_head("\r\n".join(["POST / HTTP/1.1", "Host: a", *fields, "", ""]).encode())


def auth(value: object):
    return registry_auth(head(f"X-Registry-Auth: {coded(json.dumps(value))}"))


def test_credentials_of_the_docker_cli_and_of_docker_py():
    assert auth({"username": "u", "password": "p", "serveraddress": "https://index.docker.io/v1/"}) == {
        "username": "u",
        "password": "p",
        "serveraddress": "https://index.docker.io/v1/",
    }
    assert auth({"ServerAddress": "r:5000", "IdentityToken": "t"}) == {"serveraddress": "r:5000", "identitytoken": "t"}
    assert auth({"username": "u", "password": "p", "email": None, "serveraddress": "r"}) == {
        "username": "u",
        "password": "p",
        "serveraddress": "r",
    }
    assert auth({"username": "", "password": "", "email": "a@b"}) == {}


@pytest.mark.parametrize("fields", [(), ("X-Registry-Auth: ",), ("X-Registry-Auth: e30=",), ("X-Registry-Auth: bnVsbA==",)])
def test_none_and_empty_ones_are_no_credentials(fields):
    assert registry_auth(head(*fields)) == {}


def test_the_configs_of_a_build():
    sent = {"r.example:5000": {"username": "u", "password": "p"}, "https://index.docker.io/v1/": {"auth": "dTpw"}}
    assert registry_configs(head(f"X-Registry-Config: {coded(json.dumps(sent))}")) == sent
    assert registry_configs(head("X-Registry-Config: e30=")) == {}


BAD = {
    "standard alphabet": base64.b64encode(b'{"password":"\xc3\xbf\xc3\xbe\xc3\xbf\xc3\xbe' + SECRET.encode() + b'"}').decode(),
    "no padding": coded(f'{{"password":"{SECRET}"}}').rstrip("=") + ("" if len(f'{{"password":"{SECRET}"}}') % 3 else "A"),
    "blank inside": coded(f'{{"password": "{SECRET}"}}')[:8] + " " + coded(f'{{"password": "{SECRET}"}}')[8:],
    "two documents": coded(f'{{"password":"{SECRET}"}}{{}}'),
    "unknown member": coded(f'{{"{SECRET}":"x"}}'),
    "folded spelling": coded(f'{{"PASSWORD":"{SECRET}"}}'),
    "twice": coded(f'{{"password":"{SECRET}","password":"{SECRET}"}}'),
    "twice in two spellings": coded(f'{{"password":"a","Password":"{SECRET}"}}'),
    "number": coded('{"password":31415926.5}'),
    "integer": coded('{"password":31415926}'),
    "list": coded(f'["{SECRET}"]'),
    "text": coded(f'"{SECRET}"'),
    "not UTF-8": coded(b'{"password":"\xff' + SECRET.encode() + b'"}'),
    "an address with credentials in it": coded(f'{{"serveraddress":"https://u:{SECRET}@r/"}}'),
    "an address with a line break": coded(f'{{"serveraddress":"r\\r\\nX: {SECRET}"}}'),
    "cut off": coded(f'{{"password":"{SECRET}'),
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD.keys())
def test_other_readings_are_refused_and_nothing_of_them_is_told(value):
    for name, read in (("X-Registry-Auth", registry_auth), ("X-Registry-Config", registry_configs)):
        with pytest.raises(Refusal) as refused:
            read(head(f"{name}: {value}"))
        assert name in refused.value.message
        assert SECRET not in refused.value.message
        assert "31415926" not in refused.value.message
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__


def test_two_headers_are_refused():
    with pytest.raises(Refusal, match="given twice"):
        registry_auth(head("X-Registry-Auth: e30=", "x-registry-auth: e30="))


@given(st.dictionaries(st.sampled_from(["username", "password", "identitytoken"]), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)))  # fmt: skip
def test_what_is_written_is_read_back_the_same(value):
    written = encode(value)
    assert registry_auth(head(f"X-Registry-Auth: {written}")) == auth_config(value, "") == value


def test_an_empty_object_is_written_too():
    assert encode({}) == "e30="


def test_headers_are_forwarded_on_operations_that_there_are():
    assert set(FORWARDED) <= {r.operation for r in ROUTES}


def test_what_an_operation_gives_no_meaning_is_not_forwarded():
    sent = head("X-Registry-Auth: e30=", "X-Registry-Config: e30=", "Accept: text/x, application/json-seq", "X-Meta-A: b", "Traceparent: c")
    assert forwarded(sent, "ImagePush") == [("X-Registry-Auth", "e30=")]
    assert forwarded(sent, "ImageBuild") == [("X-Registry-Config", "e30=")]
    assert forwarded(sent, "SystemEvents") == [("Accept", "application/json-seq")]
    assert forwarded(sent, "ContainerLogs") == []
    assert forwarded(head(), "ImagePush") == [("X-Registry-Auth", "e30=")]
    assert forwarded(head(), "ImageCreate") == []
