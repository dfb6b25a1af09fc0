"""Events: each is decided by the ledger from its type, its actor and its time, and written anew from listed members.

What the caller asks for (filters, ``since``) goes to the engine as it is: it only narrows what they may see anyway, and
a name of somebody else's finds as little as a name of nothing.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry
from hostadmin.core.clock import timestamp
from hostadmin.core.images import FULL_IMAGE_ID, parse_reference
from hostadmin.core.labels import REQUEST_LABEL
from hostadmin.core.names import FULL_ID
from hostadmin.core.values import Kind
from hostadmin.guard.channel import Gone
from hostadmin.guard.exchange import Exchange
from hostadmin.guard.query import build_filters
from hostadmin.guard.rules import resolve
from hostadmin.guard.strictjson import dump_json

Event = dict[str, Any]
MEMBERS: Final = ("status", "id", "from", "Type", "Action", "Actor", "scope", "time", "timeNano")
MEDIA_SINCE: Final = (1, 52)
JSON: Final = "application/json"
LINES: Final = "application/jsonl"
SEQUENCE: Final = "application/json-seq"
OFFERED: Final = (LINES, "application/x-ndjson", SEQUENCE)
SLACK_SECONDS: Final = 5


async def events(x: Exchange) -> None:
    """Pass on those of the engine's events that are the caller's."""
    await x.read_nothing()
    filters = x.query.filters()
    response = await x.ask("GET", "events", query=[*x.query.pairs("since", "until"), *build_filters(filters)])
    if response.status != 200:
        await x.send_response(response)
        return
    media = choose_media(x.head.get("accept") or "", x.version, x.guard.offered_version)
    x.start_answer(200, (("Content-Type", media),), None)
    with x.ends_with_client():
        await _pass(x, response, b"\x1e" if media == SEQUENCE else b"")
    if x.head.minor:
        x.client.write(b"0\r\n\r\n")


def choose_media(accept: str, version: tuple[int, int], engine: tuple[int, int]) -> str:
    """Return the media type of the answer (``contenttype.MatchAcceptStrict``): negotiated by engines from 1.52 on."""
    best, weight = JSON if version < MEDIA_SINCE else LINES, 0.0
    if engine < MEDIA_SINCE:
        return JSON
    for offer in OFFERED:
        for part in accept.split(","):
            name, *parameters = (p.strip() for p in part.split(";"))
            quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
            q = float(quality) if re.fullmatch(r"[01](\.[0-9]{0,3})?", quality) else 0.0
            if name.lower() == offer and q > weight:
                best, weight = offer, q
    return best


async def _pass(x: Exchange, response: Any, mark: bytes) -> None:
    view = View(x)
    rest = b""
    while data := await response.body.read():
        *lines, rest = (rest + data).split(b"\n")
        out = b""
        for line in lines:
            shown = await view.show(json.loads(line)) if line.strip() else None
            out += mark + dump_json(shown) + b"\n" if shown else b""
        if out:
            x.client.write(b"%x\r\n%b\r\n" % (len(out), out) if x.head.minor else out)
            await x.client.drain()
    if rest.strip():
        raise Gone("an event was cut off")


class View:
    """What one caller sees of the stream; remembers their images, which the ledger forgets with their end."""

    def __init__(self, x: Exchange) -> None:
        self.x = x
        self.images: set[str] = set()
        self._remember()

    def _remember(self) -> None:
        self.images |= self.x.guard.ledger.held_alone(self.x.caller.owner)

    async def show(self, event: Event) -> Event | None:
        """Return the event if it is the caller's, without what it tells of others."""
        actor = event.get("Actor") or {}
        ref, attributes = str(actor.get("ID") or ""), dict(actor.get("Attributes") or {})
        shown = await self._attributes(event, ref, attributes)
        if shown is None:
            return None
        kept: Event = {name: event[name] for name in MEMBERS if name in event}
        return {**kept, "Actor": {"ID": ref, "Attributes": shown}}

    async def _attributes(self, event: Event, ref: str, attributes: dict[str, str]) -> dict[str, str] | None:
        """Return the attributes that the caller may see, ``None`` if the event is not theirs."""
        match event.get("Type"):
            case "container":
                return attributes if await self._owns(Kind.CONTAINER, ref, event, attributes) else None
            case "network":
                return await self._network(event, ref, attributes)
            case "volume":
                if not await self._owns(Kind.VOLUME, ref, event, attributes):
                    return None
                return attributes if self._container_is_own(attributes) else {k: v for k, v in attributes.items() if k == "driver"}
            case "image":
                return attributes if await self._image(event, ref, attributes.get("name", "")) else None
            case _:  # builder, daemon, plugin, swarm: the host's
                return None

    async def _network(self, event: Event, ref: str, attributes: dict[str, str]) -> dict[str, str] | None:
        """An own network's events, and those of own containers on the engine's networks."""
        if await self._owns(Kind.NETWORK, ref, event, attributes):
            return attributes if self._container_is_own(attributes) else {k: v for k, v in attributes.items() if k in ("name", "type")}
        predefined = attributes.get("name") in resolve.PREDEFINED and "container" in attributes
        return attributes if predefined and self._container_is_own(attributes) else None

    def _container_is_own(self, attributes: dict[str, str]) -> bool:
        if "container" not in attributes:
            return True
        lives = self.x.guard.ledger.lives(Kind.CONTAINER, attributes["container"])
        return bool(lives) and lives[-1][1] == self.x.caller.owner

    async def _owns(self, kind: Kind, ref: str, event: Event, attributes: dict[str, str]) -> bool:
        """Tell whether an object was the caller's at the time of the event.

        Ids never return; a volume's name may be another volume's by now, or have been one's before.
        """
        owner = self.x.caller.owner
        found = self._owner(kind, ref, event)
        new = found is None and event.get("Action") in ("create", "mount", "start")
        if new and await self.x.guard.making.settle(lambda e: e.actor.account == owner and _makes(e, kind, ref, attributes)):
            found = self._owner(kind, ref, event)
        return found == owner

    def _owner(self, kind: Kind, ref: str, event: Event) -> str | None:
        lives = self.x.guard.ledger.lives(kind, ref)
        if kind is Kind.VOLUME and not (FULL_ID.fullmatch(ref) and len(lives) == 1):
            lives = [life for life in lives if life[0] <= _moment(event)]
        return lives[-1][1] if lives else None

    async def _image(self, event: Event, ref: str, name: str) -> bool:
        """Tell whether an image's event is the caller's.

        An event names a tag (whose owner decides) or only the image: then it must be the caller's alone, for it may
        be any holder's doing. What the host provides has no events for people.
        """
        x = self.x
        if event.get("Action") in ("import", "load") and not x.guard.ledger.holders(ref):
            await x.guard.making.settle(
                lambda e: e.actor.account == x.caller.owner and e.action in (Action.IMAGE_IMPORT, Action.IMAGE_LOAD)
            )
        self._remember()
        named = next((text for text in (ref, name) if text and not FULL_IMAGE_ID.fullmatch(text)), "")
        if named:
            mine = self._tag_is_own(named, ref, event)
            self.images |= {ref} if mine and not x.guard.ledger.holders(ref) else set()
            return mine
        holders = x.guard.ledger.holders(ref)
        return holders == {x.caller.owner} if holders else ref in self.images

    def _tag_is_own(self, named: str, ref: str, event: Event) -> bool:
        """Tell whether a tag was the caller's at the time: it was claimed before, or names an image of theirs now."""
        x = self.x
        reference = parse_reference(named)
        if reference is None or x.guard.ledger.tag_owners().get(reference.tagged) != x.caller.owner:
            return False
        if ref in x.guard.ledger.held(x.caller.owner):
            return True
        return x.guard.ledger.tag_since(reference.tagged) <= _moment(event, SLACK_SECONDS if ref == named else 0)


def _makes(entry: Entry, kind: Kind, ref: str, attributes: dict[str, str]) -> bool:
    """Tell whether a create under way may be the one that an event tells of."""
    match kind:
        case Kind.CONTAINER:
            return entry.req == attributes.get(REQUEST_LABEL)
        case Kind.NETWORK:
            return entry.action is Action.NETWORK_CREATE and entry.target.name == attributes.get("name")
        case Kind.VOLUME:
            return entry.action is Action.CONTAINER_CREATE and FULL_ID.fullmatch(ref) is not None
        case _:
            return False


def _moment(event: Event, slack: int = 0) -> str:
    """Return when an event happened, as the ledger writes times."""
    nanoseconds = event.get("timeNano") or (int(event.get("time") or 0) + 1) * 10**9
    return timestamp(datetime.fromtimestamp(nanoseconds / 10**9 + slack, UTC))
