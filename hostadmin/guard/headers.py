"""Registry credentials in request headers: decoded once, checked, written anew (``engine-api.md`` T11, J9).

The engine gives meaning to few headers (``FORWARDED``); all others are dropped. It decodes the two
``X-Registry-`` ones as base64url JSON (moby ``api/types/registry/authconfig.go``) with Go's lax JSON:
here they are exact. Law of this file: no error tells anything of what a header holds.
"""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from hostadmin.guard.framing import RequestHead
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.schema import At, Schema, dropped, mapping, record, text
from hostadmin.guard.strictjson import dump_json, parse_json

AUTH: Final = "X-Registry-Auth"
CONFIG: Final = "X-Registry-Config"
ACCEPT: Final = "Accept"
_REGISTRIES: Final = ("ImageCreate", "ImagePush", "ImageSearch", "DistributionInspect")
_ADMINISTRATORS: Final = ("GetPluginPrivileges", "PluginPull", "PluginPush", "PluginUpgrade", "ServiceCreate", "ServiceUpdate")
FORWARDED: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys((*_REGISTRIES, *_ADMINISTRATORS), frozenset([AUTH])),
    "ImageBuild": frozenset([CONFIG]),
    "SystemEvents": frozenset([ACCEPT]),
}
"""The headers of a caller that reach the engine, by operation; what is built (length, upgrade) is not among them."""

EVENT_MEDIA: Final = ("application/json", "application/jsonl", "application/x-ndjson", "application/json-seq")
AuthConfig = dict[str, str]
SECRET_LIMIT: Final = 16 * 1024
REGISTRY: Final = r"(https?://)?[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:[0-9]{1,5})?(/[A-Za-z0-9._/-]{0,256})?"
_SPELLINGS: Final = {  # docker-py writes the second form; Go reads both as one
    "Username": "username",
    "Password": "password",
    "Auth": "auth",
    "ServerAddress": "serveraddress",
    "IdentityToken": "identitytoken",
    "RegistryToken": "registrytoken",
    "Email": "email",
}
_SECRET: Final = text(SECRET_LIMIT)
_MEMBERS: Final = record(
    {
        "username": text(1024),
        "password": _SECRET,
        "auth": _SECRET,
        "serveraddress": text(512, rf"({REGISTRY})?"),
        "identitytoken": _SECRET,
        "registrytoken": _SECRET,
        "email": dropped,  # the engine ignores it
    }
)
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?")
_EXPECTED: Final = "base64url JSON with username, password, auth, serveraddress, identitytoken or registrytoken"


def _auth_config(value: Any, at: At) -> Any:
    if not isinstance(value, dict):
        return at.wrong("must be an object")
    renamed = {_SPELLINGS.get(name, name): given for name, given in value.items()}
    if len(renamed) != len(value):
        return at.wrong("gives a member twice")
    return {name: given for name, given in _MEMBERS(renamed, at).items() if given}


auth_config: Final = Schema(_auth_config)
"""One AuthConfig (also the body of ``POST /auth``); empty members are left out."""

_CONFIGS: Final = Schema(mapping(_auth_config, key=REGISTRY, limit=100))


def registry_auth(head: RequestHead) -> AuthConfig:
    """Return the checked ``X-Registry-Auth``, empty if there is none.

    Raises:
        Refusal: 400, it is given twice or is not what the engine documents; without its content.

    """
    found: AuthConfig = _read(head, AUTH, auth_config)
    return found


def registry_configs(head: RequestHead) -> dict[str, AuthConfig]:
    """Return the checked ``X-Registry-Config``: registry address → credentials, empty if there is none.

    Raises:
        Refusal: as ``registry_auth``.

    """
    found: dict[str, AuthConfig] = _read(head, CONFIG, _CONFIGS)
    return found


def _read(head: RequestHead, name: str, schema: Schema) -> Any:
    given = [value for key, value in head.fields if key == name.lower()]
    if len(given) > 1:
        raise malformed(f"header {name} given twice")
    if not given or not given[0]:
        return {}
    return _quietly(name, lambda: _decode(given[0], schema))


def _decode(value: str, schema: Schema) -> Any:
    if not _BASE64.fullmatch(value):
        raise malformed("not base64url")
    found = parse_json(base64.urlsafe_b64decode(value))
    return {} if found is None else schema(found, "header")


def _quietly(name: str, read: Callable[[], Any]) -> Any:
    """Do ``read``; an error says only which header it was, whatever it found in there."""
    try:
        return read()
    except Refusal:
        raise malformed(f"header {name} is not acceptable: it must be {_EXPECTED}") from None


def encode(value: Mapping[str, Any]) -> str:
    """Write credentials as the engine reads them; an empty object is written too (an older engine needs it on push)."""
    return base64.urlsafe_b64encode(dump_json(value)).decode("ascii")


def accepted_media(head: RequestHead) -> list[str]:
    """Return the media types of an event stream that the caller names, first choice first; weights are not read."""
    named = [part.strip().lower() for part in (head.get("accept") or "").split(",")]
    return [media for media in named if media in EVENT_MEDIA]


def forwarded(head: RequestHead, operation: str) -> list[tuple[str, str]]:
    """Return the headers of a caller that the engine gets on this operation, each written anew.

    Raises:
        Refusal: as ``registry_auth``.

    """
    meant = FORWARDED.get(operation, frozenset())
    fields = []
    if AUTH in meant and (operation == "ImagePush" or head.get(AUTH.lower())):  # push always: an older engine reads the body else
        fields.append((AUTH, encode(registry_auth(head))))
    if CONFIG in meant and head.get(CONFIG.lower()):
        fields.append((CONFIG, encode(registry_configs(head))))
    if ACCEPT in meant and (media := accepted_media(head)):
        fields.append((ACCEPT, ", ".join(media)))
    return fields
