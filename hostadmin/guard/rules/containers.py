"""Containers: list, create, and everything that names one."""

import json
import re
from typing import Any, Final

import orjson

from hostadmin.audit.journal import Target
from hostadmin.core.ids import new_id
from hostadmin.core.labels import OWNER_LABEL, REQUEST_LABEL
from hostadmin.core.names import FULL_ID
from hostadmin.core.values import Attribution, Kind
from hostadmin.guard import bodies
from hostadmin.guard.exchange import Exchange, error_message, passed_fields
from hostadmin.guard.query import Filters, build_filters, check_keys
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.rules import mounts, resolve
from hostadmin.guard.rules.uploads import Upload
from hostadmin.policy import admission
from hostadmin.store import objects
from hostadmin.store.database import Tx

LIST_KEYS: Final = frozenset(
    [
        "ancestor",
        "before",
        "since",
        "exited",
        "expose",
        "publish",
        "health",
        "id",
        "name",
        "label",
        "network",
        "volume",
        "status",
        "is-task",
        "isolation",
    ]
)
CONTAINER_NAME: Final = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}")
PS_ARGS: Final = re.compile(r"[A-Za-z0-9 ,=_-]{0,64}")
_PINNED: Final = re.compile(rb'"NetworkMode":"[0-9a-f]{64}"')
DETACH_KEYS: Final = re.compile(r"[A-Za-z0-9@^\[\],_\\ -]{0,64}")


def target(x: Exchange, ref: str, name: str | None = None) -> Target:
    """Return the audit's target of a container of the caller."""
    return Target("container", ref, name, x.caller.owner)


async def list_own(x: Exchange) -> None:
    """List the caller's containers; the filter goes to the engine as their ids."""
    await x.read_nothing()
    filters = x.query.filters()
    for old in ("since", "before"):
        if x.query.text(old):
            filters.setdefault(old, []).append(x.query.text(old))
    check_keys(filters, LIST_KEYS)
    mine = x.guard.ledger.owned(Kind.CONTAINER, x.caller.owner)
    if not mine:
        x.send_json(200, [])
        return
    pinned = await _pin_filters(x, filters)
    if "id" not in pinned and "name" not in pinned:
        pinned["id"] = sorted(mine)
    limit = max(x.query.number("limit"), 0)
    query = x.query.pairs("size") + build_filters(pinned)
    if x.query.flag("all") or limit:
        query.append(("all", "1"))
    response = await x.ask("GET", "containers", "json", query=query)
    if response.status != 200:
        await x.send_response(response)
        return
    shown = [show_item(item) for item in await response.json() if item["Id"] in mine]
    x.send_json(200, shown[:limit] if limit else shown)


async def _pin_filters(x: Exchange, filters: Filters) -> Filters:
    """Resolve references in filter values; a foreign one is not found like a missing one."""
    pinned = dict(filters)
    for key in ("before", "since"):
        if key in pinned:
            pinned[key] = [(await resolve.container(x, ref))[0] for ref in pinned[key]]
    if "network" in pinned:
        pinned["network"] = [(await resolve.network(x, ref))["Id"] for ref in pinned["network"]]
    if "volume" in pinned:
        pinned["volume"] = [v for v in pinned["volume"] if v.startswith("/") or await resolve.volume(x, v)]
    if "ancestor" in pinned:
        pinned["ancestor"] = [(await resolve.image(x, ref))["Id"] for ref in pinned["ancestor"]]
    return pinned


def show_item(item: dict[str, Any]) -> dict[str, Any]:
    """Return a list item with its network under the name that the caller used, not our pin."""
    mode = (item.get("HostConfig") or {}).get("NetworkMode", "")
    item["HostConfig"] = {"NetworkMode": _network_name(mode, (item.get("NetworkSettings") or {}).get("Networks"))}
    return item


def _network_name(mode: str, networks: dict[str, Any] | None) -> str:
    if FULL_ID.fullmatch(mode):
        for name, endpoint in (networks or {}).items():
            if (endpoint or {}).get("NetworkID") in (mode, ""):
                return name
    return mode


def show(found: dict[str, Any]) -> dict[str, Any]:
    """Return a container's inspect with its network under its name, not our pin."""
    host = found.get("HostConfig") or {}
    networks = (found.get("NetworkSettings") or {}).get("Networks")
    if "NetworkMode" in host:
        host["NetworkMode"] = _network_name(host["NetworkMode"], networks)
    return found


async def inspect(x: Exchange) -> None:
    """Inspect an own container; by its full id and without one of our pins in it, the engine's answer passes as it is."""
    await x.read_nothing()
    ref = x.params[0]
    if not (x.query.flag("size") or FULL_ID.fullmatch(ref)):
        x.send_json(200, show(await resolve.inspect_container(x, ref)))
        return
    full, _ = await resolve.container(x, ref)
    response = await x.ask("GET", "containers", full, "json", query=x.query.pairs("size"))
    data = await response.read()
    if response.status == 404:
        raise resolve.no_container(ref)
    if response.status != 200:
        x.send_json(response.status, {"message": x.clean(error_message(data))})
    elif _PINNED.search(data):
        x.send_json(200, show(orjson.loads(data)))
    else:
        x.send(200, data, passed_fields(response))


async def read(x: Exchange) -> None:
    """Pass on what the engine says of an own container: logs, top, stats, wait, archives."""
    await x.read_nothing()
    _check_read(x)
    full, found = await resolve.container(x, x.params[0])
    last = x.route.template.rsplit("/", 1)[1]
    if last == "archive":  # reads through the container's mounts, as root
        mounts.check_enterable(x, found or await resolve.inspect_container(x, full), "copy from")
    query = x.query.pairs(*x.route.query)
    response = await x.ask(x.head.method, "containers", full, last, query=query)
    await x.relay(response)


def _check_read(x: Exchange) -> None:
    """Free text that the engine hands to a program comes from a list (rule 11)."""
    if not PS_ARGS.fullmatch(x.query.text("ps_args")):
        raise malformed("ps_args may hold letters, digits, '-', ',' and '=' only", status=403)
    if x.query.text("tail") not in ("", "all") and not x.query.text("tail").lstrip("-").isdigit():
        raise malformed("tail must be a number or all")
    if x.query.text("condition") not in ("", "not-running", "next-exit", "removed"):
        raise malformed("invalid condition")


def check_detach_keys(x: Exchange) -> None:
    """Refuse detach keys that no client sends."""
    if not DETACH_KEYS.fullmatch(x.query.text("detachKeys")):
        raise malformed("invalid detachKeys")


async def change(x: Exchange) -> None:
    """Stop, kill, pause or unpause an own container."""
    await x.read_nothing()
    if not re.fullmatch(r"[A-Za-z0-9+-]{0,16}", x.query.text("signal")):
        raise malformed("invalid signal")
    full, _ = await resolve.container(x, x.params[0])
    verb = x.route.template.rsplit("/", 1)[1]
    query = x.query.pairs(*x.route.query)
    await x.change(target(x, full, x.params[0]), "POST", "containers", full, verb, query=query, detail=dict(query))


async def start(x: Exchange) -> None:
    """Start or restart an own container: what it stores is judged again (rule R8)."""
    await x.read_nothing()
    check_detach_keys(x)
    found = await resolve.inspect_container(x, x.params[0])
    mounts.check_enterable(x, found, "start")
    verb = x.route.template.rsplit("/", 1)[1]
    query = x.query.pairs("signal", "t", "detachKeys")
    name = found["Name"].removeprefix("/")
    await x.change(target(x, found["Id"], name), "POST", "containers", found["Id"], verb, query=query)


async def rename(x: Exchange) -> None:
    """Rename an own container."""
    await x.read_nothing()
    name = _check_name(x.query.text("name"))
    full, _ = await resolve.container(x, x.params[0])

    def done(tx: Tx) -> None:
        objects.rename(tx, Kind.CONTAINER, full, name)

    async with x.guard.lock(f"container:{name}"):
        about = target(x, full, x.params[0])
        await x.change(about, "POST", "containers", full, "rename", query=[("name", name)], done=done, detail={"new_name": name})


def _check_name(name: str) -> str:
    if not CONTAINER_NAME.fullmatch(name):
        raise malformed(f"Invalid container name ({name[:64]}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    bare = name.removeprefix("/")
    if FULL_ID.fullmatch(bare) or re.fullmatch(r"[0-9a-f]{12,64}", bare):
        raise malformed(f"Invalid container name ({bare}): it could be read as another container's id")
    return bare


async def update(x: Exchange) -> None:
    """Change the resources or the restart policy of an own container, within the profile."""
    violations: list[str] = []
    body = await x.read_json(bodies.CONTAINER_UPDATE, refusals=violations)
    full, _found = await resolve.container(x, x.params[0])
    assert x.caller.profile is not None  # noqa: S101  # administrators do not come here
    if body.get("PidsLimit") == 0 or not body.get("RestartPolicy", {"Name": "x"}).get("Name"):
        body = {k: v for k, v in body.items() if k != "PidsLimit" or v}  # 0: unchanged
        if not body.get("RestartPolicy", {"Name": "x"}).get("Name"):
            body.pop("RestartPolicy")
    violations += admission.admit_resources(body, x.caller.profile, creating=False)
    if violations:
        raise refusal_of(x, "update this container", violations)
    policy = body.get("RestartPolicy", {}).get("Name")
    await x.change(target(x, full, x.params[0]), "POST", "containers", full, "update", body=body, detail={"restart": policy})


def refusal_of(x: Exchange, what: str, violations: list[str]) -> Refusal:
    """Return the refusal that tells all violations at once."""
    profile = x.caller.profile.name if x.caller.profile else "admin"
    return Refusal(403, f"hostadmin refused to {what} (profile {profile}): {'; '.join(violations)}", "admission")


async def remove(x: Exchange) -> None:
    """Remove an own container."""
    await x.read_nothing()
    if x.query.flag("link"):
        raise Refusal(403, "hostadmin refused to remove a link: links are not used here", "admission")
    found = await resolve.inspect_container(x, x.params[0])
    full = found["Id"]
    name = found["Name"].removeprefix("/")

    def done(tx: Tx) -> None:
        objects.mark_gone(tx, Kind.CONTAINER, [full])

    query = x.query.pairs("v", "force")
    await x.change(target(x, full, name), "DELETE", "containers", full, query=query, done=done, detail=dict(query))


async def upload(x: Exchange) -> None:
    """Write a tar into an own container; never into something of the host's."""
    full, found = await resolve.container(x, x.params[0])
    found = found or await x.look("containers", full, "json") or {}
    mounts.check_enterable(x, found, "copy into")
    intent = await x.intend(x.entry(target(x, full, x.params[0]), detail={"path": x.query.text("path")}))
    query = x.query.pairs("path", "noOverwriteDirNonDir", "copyUIDGID")
    status = "unknown"
    try:
        response = await Upload(x, "this copy").ask("containers", full, "archive", method="PUT", query=query)
        data = await response.read()
        status = "ok" if response.status < 400 else "error"
    finally:
        await x.conclude(intent, status, detail={"bytes": x.body.count})
    if status == "error":
        x.send_json(response.status, {"message": x.clean(error_message(data))})
        return
    x.send(response.status, data, passed_fields(response))


# -- create -----------------------------------------------------------------------------------


async def create(x: Exchange) -> None:
    """Create a container: mutate, validate, pin, record, create, look at the result, own it."""
    violations: list[str] = []
    body = await x.read_json(bodies.CONTAINER_CREATE, refusals=violations)
    assert x.caller.profile is not None  # noqa: S101  # administrators do not come here
    violations += admission.admit_container(body, x.caller.profile)
    if violations:
        raise refusal_of(x, "create this container", violations)
    name = _check_name(x.query.text("name")) if x.query.text("name") else ""
    image = await resolve.image(x, body.get("Image", ""))
    volumes = await _pin_references(x, body)
    async with mounts.locked(x, [f"container:{name}", *(f"volume:{v}" for v in volumes)]):
        claimed = await mounts.claim_new_volumes(x, volumes)
        await _create(x, body, name, image, claimed)


async def _pin_references(x: Exchange, body: dict[str, Any]) -> list[str]:
    """Turn every reference of the body into a full id; return the names of the volumes it mounts."""
    host = body["HostConfig"]
    mode = host.get("NetworkMode", "")
    pins: dict[str, str] = {}
    host["NetworkMode"] = await _pin_network_mode(x, mode, pins)
    for member in ("PidMode", "IpcMode"):
        if host.get(member, "").startswith("container:"):
            host[member] = f"container:{await _pin_container(x, host[member][10:], member)}"
    if host.get("VolumesFrom"):
        host["VolumesFrom"] = [await _pin_volumes_from(x, entry) for entry in host["VolumesFrom"]]
    endpoints = body.get("NetworkingConfig", {}).get("EndpointsConfig", {})
    pinned = {}
    for key, endpoint in endpoints.items():
        pinned[await _pin_endpoint(x, key, mode, pins)] = endpoint or {}
    if endpoints:
        body["NetworkingConfig"]["EndpointsConfig"] = pinned
    return mounts.volume_names(host)


async def _pin_network_mode(x: Exchange, mode: str, pins: dict[str, str]) -> str:
    if mode in ("", "default", "bridge", "none"):
        return mode or "default"
    if mode.startswith("container:"):
        return f"container:{await _pin_container(x, mode[10:], 'NetworkMode')}"
    pins[mode] = await _pin_network(x, mode)
    return pins[mode]


async def _pin_endpoint(x: Exchange, key: str, mode: str, pins: dict[str, str]) -> str:
    if key in ("default", "bridge", "none") and (mode or "default") in ("default", "bridge", "none"):
        return key
    return pins.get(key) or await _pin_network(x, key)


async def _pin_network(x: Exchange, ref: str) -> str:
    """A missing network is 403 here: at 404 the CLI would pull the image (``engine-api.md`` 1.8)."""
    try:
        found = await resolve.network(x, ref)
    except Refusal as missing:
        raise Refusal(403, f"hostadmin refused to create this container: {missing.message}", "ownership") from None
    if found["Name"] == "host":
        raise Refusal(403, "hostadmin refused to create this container: network mode 'host'", "admission")
    return str(found["Id"])


async def _pin_container(x: Exchange, ref: str, member: str) -> str:
    try:
        found = await resolve.inspect_container(x, ref)
    except Refusal as missing:
        raise Refusal(403, f"hostadmin refused to create this container: {member}: {missing.message}", "ownership") from None
    mounts.check_enterable(x, found, "join")
    return str(found["Id"])


async def _pin_volumes_from(x: Exchange, entry: str) -> str:
    ref, colon, mode = entry.partition(":")
    if colon and mode not in ("ro", "rw"):
        raise malformed("invalid mode in VolumesFrom")
    full = await _pin_container(x, ref, "VolumesFrom")
    return f"{full}:{mode}" if colon else full


async def _create(x: Exchange, body: dict[str, Any], name: str, image: dict[str, Any], claimed: list[str]) -> None:
    request = new_id()
    body["Labels"] = {**body.get("Labels", {}), OWNER_LABEL: x.caller.owner, REQUEST_LABEL: request}
    about = Target("container", None, name or None, x.caller.owner)
    entry = x.entry(
        about, detail={"image": body.get("Image"), "network": body["HostConfig"]["NetworkMode"], "volumes": claimed}, req=request
    )
    intent = await x.intend(entry, also=mounts.claim_work(claimed, x.caller.owner))
    query = ([("name", name)] if name else []) + x.query.pairs("platform")
    status, created, data, found = "unknown", None, b"", None
    try:
        response = await x.ask("POST", "containers", "create", query=query, body=body)
        data = await response.read()
        status = "error"
        if response.status == 201:
            created = json.loads(data)["Id"]
            found = await x.look("containers", created, "json")
            await _verify(x, found or {}, image, body)
            status = "ok"
    finally:
        if status != "ok" and created is not None:
            await (await x.ask("DELETE", "containers", created, query=[("force", "1"), ("v", "1")])).read()
        rows = _created_rows(x, found) if status == "ok" and found else mounts.withdraw_work(claimed)
        await x.conclude(intent, status, target=Target("container", created, name or None, x.caller.owner), also=rows)
    if status != "ok":
        x.send_json(response.status, {"message": x.clean(error_message(data))})
        return
    x.send(201, data, passed_fields(response))


async def _verify(x: Exchange, found: dict[str, Any], image: dict[str, Any], body: dict[str, Any]) -> None:
    """Look at what has been created (``engine-api.md`` 3.4) before anybody may start it."""
    problems = mounts.find_forbidden(x, found)
    if found.get("Image") != image["Id"]:
        problems.append("the image was changed by somebody meanwhile; try again")
    labels = (found.get("Config") or {}).get("Labels") or {}
    known = (OWNER_LABEL, REQUEST_LABEL)
    problems += admission.find_reserved_labels({k: v for k, v in labels.items() if k not in known})
    asked = set(mounts.volume_names(body["HostConfig"]))
    owners = x.guard.ledger.owners(Kind.VOLUME)
    for mount in found.get("Mounts") or []:
        name = mount.get("Name")
        if name and name not in asked and owners.get(name, x.caller.owner) != x.caller.owner:
            problems.append("a volume of somebody else")
    if problems:
        raise refusal_of(x, "create this container", problems)


def _created_rows(x: Exchange, found: dict[str, Any]) -> Any:
    """Record the container and the unnamed volumes that came into being with it, in one step (rule 9)."""
    owner = x.caller.owner
    name = found["Name"].removeprefix("/")
    made = [m["Name"] for m in found.get("Mounts") or [] if m.get("Type") == "volume" and m.get("Name")]
    detail = {"image": found["Config"]["Image"], "state": found["State"]["Status"], "restart": found["HostConfig"]["RestartPolicy"]["Name"]}

    def work(tx: Tx) -> None:
        objects.put(tx, Kind.CONTAINER, found["Id"], name=name, owner_id=owner, attribution=Attribution.GUARD, detail=detail)
        for volume in made:
            objects.put(tx, Kind.VOLUME, volume, name=volume, owner_id=owner, attribution=Attribution.SIDE_EFFECT)

    return work
