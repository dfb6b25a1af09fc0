"""Compare the ledger with the engine and put the ledger right; idempotent.

What the guard has recorded is never overwritten: an owner stays, a row younger than the listing is not
taken for gone. What nobody has recorded appears with attribution ``unknown`` and no owner.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from hostadmin.core.clock import parse_timestamp, timestamp
from hostadmin.core.images import familiar, parse_reference
from hostadmin.core.labels import OWNER_LABEL, REQUEST_LABEL
from hostadmin.core.values import Attribution, Kind
from hostadmin.engine.client import Engine
from hostadmin.store import audit, images, objects, resets
from hostadmin.store.database import Database, Tx

CLAIM: Final = timedelta(seconds=60)
TAG_CLAIM: Final = timedelta(days=1)  # an engine that lost its caller may still set a tag much later
PREDEFINED: Final = ("bridge", "host", "none")


@dataclass(frozen=True, slots=True)
class Found:
    """One object as the engine lists it."""

    ref: str
    name: str
    detail: dict[str, Any]
    volumes: tuple[str, ...] = ()  # of a container: the volumes it mounts
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything the engine has, and the time at which asking began."""

    begun: str
    found: dict[Kind, dict[str, Found]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)  # normalised tag -> image id


def read_listing(engine: Engine) -> Listing:
    """Ask the engine for everything.

    Raises:
        Unavailable: it does not answer.

    """
    listing = Listing(timestamp())
    found = listing.found
    found[Kind.CONTAINER] = {c["Id"]: container_found(c) for c in engine.list_containers()}
    found[Kind.NETWORK] = {n["Id"]: network_found(n) for n in engine.list_networks()}
    found[Kind.VOLUME] = {
        v["Name"]: Found(v["Name"], v["Name"], {"driver": v["Driver"], "created": v.get("CreatedAt")}) for v in engine.list_volumes()
    }
    found[Kind.IMAGE] = {}
    for image in engine.list_images():
        names = [r.tagged for t in image.get("RepoTags") or [] if (r := parse_reference(t)) is not None]
        for name in names:
            listing.tags[name] = image["Id"]
        detail = {"tags": [familiar(n) for n in names], "size": image.get("Size", 0)}
        found[Kind.IMAGE][image["Id"]] = Found(image["Id"], familiar(names[0]) if names else "", detail)
    return listing


def container_found(item: dict[str, Any]) -> Found:
    """Return a container from a list item of the engine."""
    ports = sorted({f"{p['PublicPort']}->{p['PrivatePort']}/{p['Type']}" for p in item.get("Ports") or [] if p.get("PublicPort")})
    detail = {"image": item.get("Image", ""), "state": item.get("State", ""), "ports": ports}
    volumes = tuple(m["Name"] for m in item.get("Mounts") or [] if m.get("Type") == "volume" and m.get("Name"))
    name = (item.get("Names") or [""])[0].removeprefix("/")
    return Found(item["Id"], name, detail, volumes, item.get("Labels") or {})


def network_found(item: dict[str, Any]) -> Found:
    """Return a network from the engine's answer."""
    subnets = [c.get("Subnet", "") for c in ((item.get("IPAM") or {}).get("Config") or [])]
    return Found(
        item["Id"], item["Name"], {"driver": item.get("Driver", ""), "subnet": ", ".join(subnets)}, labels=item.get("Labels") or {}
    )


def apply_listing(tx: Tx, listing: Listing) -> int:
    """Write a listing into the ledger; return how many objects appeared or went."""
    changes = 0
    for kind, found in listing.found.items():
        known = {o.ref: o for o in objects.list_objects(tx, kind)}
        settled = _claims_settled(listing.begun) if kind is Kind.VOLUME else listing.begun
        gone = [ref for ref, o in known.items() if ref not in found and o.first_seen < settled]
        objects.mark_gone(tx, kind, gone)
        if kind is Kind.IMAGE:
            for ref in gone:
                images.forget(tx, ref, before=listing.begun)
        for item in found.values():
            before = known.get(item.ref)
            lost = before is not None and before.owner_id is None and bool(item.labels)
            if before is None or lost or before.name != item.name or {**before.detail, **item.detail} != before.detail:
                put_found(tx, kind, item, listing.begun)
                changes += before is None
        changes += len(gone)
    _own_side_effects(tx, listing)
    _apply_tags(tx, listing)
    return changes


def _claims_settled(begun: str) -> str:
    """Return the time before which a volume's name must have been claimed to be missed in a listing.

    The guard records a volume *before* the engine makes it: a listing of that moment has not got it yet.
    """
    return timestamp(parse_timestamp(begun) - CLAIM)


def put_found(tx: Tx, kind: Kind, item: Found, asked: str) -> None:
    """Record one object as the engine has it; new ones without an owner, unless the guard was making it.

    ``asked``: when the engine was asked. What has ended since then is not brought back.
    """
    if objects.find(tx, kind, item.ref) is None:
        if objects.ended_since(tx, kind, item.ref, asked):
            return
        if resets.is_coming_back(tx, kind, item.name, item.labels.get(REQUEST_LABEL, "")):
            return  # whoever brings it back records it with its owner
    engine = kind is Kind.NETWORK and item.name in PREDEFINED
    owner = _made_by_guard(tx, item)
    attribution = Attribution.ENGINE if engine else Attribution.GUARD if owner else Attribution.UNKNOWN
    objects.put(tx, kind, item.ref, name=item.name, owner_id=owner, attribution=attribution, detail=item.detail)


def _made_by_guard(tx: Tx, item: Found) -> str | None:
    """Return the account for which the guard made an object whose outcome it could not record (yet).

    The labels are a hint; the proof is an intent of that account and request in the audit that no outcome has
    tied to another object. A label that came out of an image has its outcome already.
    """
    owner, request = item.labels.get(OWNER_LABEL), item.labels.get(REQUEST_LABEL)
    if not owner or not request or not audit.is_unsettled(tx, request, owner, item.ref):
        return None
    return owner


def _own_side_effects(tx: Tx, listing: Listing) -> None:
    """Volumes without a name of their own belong to the owner of the container that mounts them."""
    owners = objects.owners(tx, Kind.CONTAINER)
    known = objects.owners(tx, Kind.VOLUME)
    for item in listing.found[Kind.CONTAINER].values():
        for name in item.volumes:
            if len(name) == 64 and name not in known and item.ref in owners:  # generated name
                objects.put(tx, Kind.VOLUME, name, name=name, owner_id=owners[item.ref], attribution=Attribution.SIDE_EFFECT)


def _apply_tags(tx: Tx, listing: Listing) -> None:
    """Keep the tags in step; a claim of the guard (no image yet) is left alone."""
    known = images.known_tags(tx)
    for tag, image in listing.tags.items():
        if known.get(tag) != image:
            images.put_tag(tx, tag, image, None)
    images.drop_tags(tx, [tag for tag, image in known.items() if image and tag not in listing.tags], before=listing.begun)
    images.drop_old_claims(tx, timestamp(parse_timestamp(listing.begun) - TAG_CLAIM))


def resync(database: Database, engine: Engine) -> int:
    """Compare everything and put the ledger right; return how many objects appeared or went.

    Raises:
        Unavailable: the engine or the database does not answer.

    """
    listing = read_listing(engine)
    return database.write(lambda tx: apply_listing(tx, listing))
