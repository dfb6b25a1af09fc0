"""Containers: list, create, and everything that names one."""

import re
from typing import Any, Final

import orjson

from hostadmin.audit.journal import Target
from hostadmin.core.names import FULL_ID
from hostadmin.core.values import Kind
from hostadmin.guard import bodies
from hostadmin.guard.exchange import Exchange, error_message, passed_fields
from hostadmin.guard.query import Filters, build_filters
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.rules import mounts, quotas, resolve
from hostadmin.guard.rules.tarstream import TarStream
from hostadmin.guard.rules.uploads import Upload
from hostadmin.policy.resources import admit_update
from hostadmin.store import objects
from hostadmin.store.database import Tx

NO_ID: Final = "-"  # what no id begins with: the engine checks the other filters and answers an empty list
NO_IMAGE: Final = f"sha256:{'0' * 64}"
CONTAINER_NAME: Final = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}")
_PINNED: Final = re.compile(rb'"NetworkMode":"[0-9a-f]{64}"')


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
    mine = x.guard.ledger.owned(Kind.CONTAINER, x.caller.owner)
    pinned = await _pin_filters(x, filters, mine)
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


async def _pin_filters(x: Exchange, filters: Filters, mine: frozenset[str]) -> Filters:
    """Return the filters for the engine: the caller's own, narrowed to the caller's containers (``daemon/list.go``).

    What the engine looks up among all (``id``, ``before``, ``since``, ``ancestor``) is resolved here among one's own.
    All other values it compares with each container's own data; a name of somebody else's finds as little as none.
    """
    pinned = dict(filters)
    for key in ("before", "since"):
        if key in pinned:
            pinned[key] = [await _own_exactly(x, ref) for ref in pinned[key]]
    if "ancestor" in pinned:
        pinned["ancestor"] = [i for ref in pinned["ancestor"] if (i := await _visible_image(x, ref))] or [NO_IMAGE]
    if pinned.get("id"):
        pinned["id"] = [full for ref in pinned["id"] if (full := resolve.one_of(mine, ref))] or [NO_ID]
    elif not ("name" in pinned and ("before" in pinned or "since" in pinned)):  # there the name's matches are the list
        pinned["id"] = sorted(mine) or [NO_ID]
    return pinned


async def _own_exactly(x: Exchange, ref: str) -> str:
    """Return the id of an own container by its whole id or name; an abbreviation means nothing here."""
    missing = Refusal(404, f"no such container {ref}", "ownership", recorded=False)
    found = await x.look("containers", ref.removeprefix("/"), "json") if CONTAINER_NAME.fullmatch(ref) else None
    if found is None or found["Id"] not in x.guard.ledger.owned(Kind.CONTAINER, x.caller.owner):
        raise missing
    if ref not in (found["Id"], found["Name"], found["Name"].removeprefix("/")):
        raise missing
    return str(found["Id"])


async def _visible_image(x: Exchange, ref: str) -> str | None:
    try:
        return str((await resolve.image(x, ref))["Id"])
    except Refusal:
        return None


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
    full, found = await resolve.container(x, x.params[0])
    last = x.route.template.rsplit("/", 1)[1]
    if last == "archive":  # reads through the container's mounts, as root
        mounts.check_enterable(x, found or await resolve.inspect_container(x, full), "copy from")
    query = x.query.pairs(*x.route.query)
    response = await x.ask(x.head.method, "containers", full, last, query=query)
    await x.relay(response)


async def change(x: Exchange) -> None:
    """Stop, kill, pause or unpause an own container."""
    await x.read_nothing()
    full, _ = await resolve.container(x, x.params[0])
    verb = x.route.template.rsplit("/", 1)[1]
    query = x.query.pairs(*x.route.query)
    await x.change(target(x, full, x.params[0]), "POST", "containers", full, verb, query=query, detail=dict(query))


async def start(x: Exchange) -> None:
    """Start or restart an own container: what it stores is judged again (rule R8)."""
    await x.read_nothing()
    found = await resolve.inspect_container(x, x.params[0])
    await mounts.check_startable(x, found)
    verb = x.route.template.rsplit("/", 1)[1]
    query = x.query.pairs("signal", "t", "detachKeys")
    name = found["Name"].removeprefix("/")
    async with quotas.place_to_run(x, found["Id"]):
        await quotas.cgroup_parent(x)  # made anew after a boot
        await x.change(target(x, found["Id"], name), "POST", "containers", found["Id"], verb, query=query)


async def rename(x: Exchange) -> None:
    """Rename an own container."""
    await x.read_nothing()
    name = check_name(x.query.text("name"))
    full, _ = await resolve.container(x, x.params[0])

    def done(tx: Tx) -> None:
        objects.rename(tx, Kind.CONTAINER, full, name)

    async with x.guard.lock(f"container:{name}"):
        about = target(x, full, x.params[0])
        await x.change(about, "POST", "containers", full, "rename", query=[("name", name)], done=done, detail={"new_name": name})


def check_name(name: str) -> str:
    """Return a container's name without a slash, if it is one."""
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
    found = await resolve.inspect_container(x, x.params[0])
    violations += admit_update(body, found.get("HostConfig") or {}, quotas.profile_of(x))
    if violations:
        raise refusal_of(x, "update this container", violations)
    policy = body.get("RestartPolicy", {}).get("Name")
    about = target(x, found["Id"], found["Name"].removeprefix("/"))
    await x.change(about, "POST", "containers", found["Id"], "update", body=body, detail={"restart": policy})


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
        response = await Upload(x, "this copy", TarStream(frozenset(), 0)).ask("containers", full, "archive", method="PUT", query=query)
        data = await response.read()
        status = "ok" if response.status < 400 else "error"
    finally:
        await x.conclude(intent, status, detail={"bytes": x.body.count})
    if status == "error":
        x.send_json(response.status, {"message": x.clean(error_message(data))})
        return
    x.send(response.status, data, passed_fields(response))
