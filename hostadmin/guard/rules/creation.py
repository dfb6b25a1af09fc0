"""ContainerCreate: mutate, validate, pin, record, create, look at the result, own it."""

import json
from ipaddress import ip_address, ip_network
from typing import Any, Final

from hostadmin.audit.journal import Target
from hostadmin.core.ids import new_id
from hostadmin.core.labels import OWNER_LABEL, REQUEST_LABEL
from hostadmin.core.values import Attribution, Kind
from hostadmin.guard import bodies
from hostadmin.guard.exchange import Exchange, error_message, passed_fields
from hostadmin.guard.refusal import Refusal, malformed
from hostadmin.guard.rules import mounts, quotas, resolve
from hostadmin.guard.rules.containers import check_name, refusal_of
from hostadmin.policy import admission, ports
from hostadmin.policy.quotas import holds, new_unnamed_volumes
from hostadmin.store import objects
from hostadmin.store.database import Tx

SEVERAL_ENDPOINTS: Final = (1, 44)
IMAGE_MOUNTS: Final = (1, 48)


async def create(x: Exchange) -> None:
    """Create a container."""
    violations: list[str] = []
    body = await x.read_json(bodies.CONTAINER_CREATE, refusals=violations)
    profile, room = quotas.profile_of(x), await quotas.room_of(x)
    violations += admission.admit_container(body, profile) + ports.admit_ports(body["HostConfig"], profile, room)
    violations += _find_too_new(x, body)
    if violations:
        raise refusal_of(x, "create this container", violations)
    name = check_name(x.query.text("name")) if x.query.text("name") else ""
    image = await resolve.image(x, body.get("Image", ""))
    admission.silence_gpus(body, image, profile)
    ports.expose(body, image)
    more = {"containers": 1, "published_ports": len(ports.bindings_of(body["HostConfig"])), "volumes": new_unnamed_volumes(body, image)}
    volumes = await _pin_references(x, body)
    if parent := await quotas.cgroup_parent(x):
        body["HostConfig"]["CgroupParent"] = parent
    locks = [f"container:{name}", *(f"volume:{v}" for v in volumes), *_port_lock(x, room)]
    async with mounts.locked(x, locks):
        claimed = await mounts.claim_new_volumes(x, volumes)
        if not ports.choose_ports(body["HostConfig"], room, quotas.used_ports(x, room)):
            raise quotas.refuse(x, [f"all host ports of {room.own[0]}-{room.own[1]} are taken by containers; remove one with `docker rm`"])
        more["volumes"] += len(claimed)
        await quotas.forget_gone(x, more)
        with quotas.reserved(x, more):
            await _create(x, body, name, image, claimed)


def _port_lock(x: Exchange, room: ports.Room) -> list[str]:
    """Who chooses a port comes first until it is recorded."""
    return [f"ports:{x.caller.owner if room.own != quotas.profile_of(x).ports else 'all'}"] if room.chooses else []


def _find_too_new(x: Exchange, body: dict[str, Any]) -> list[str]:
    """Return what the engine would not do in the request's version."""
    found = []
    mounted = body["HostConfig"].get("Mounts", [])
    if x.version < IMAGE_MOUNTS and any(m.get("Type") == "image" for m in mounted):
        found.append("mount type 'image': needs API 1.48")
    if x.version < SEVERAL_ENDPOINTS and len(body.get("NetworkingConfig", {}).get("EndpointsConfig", {})) > 1:
        found.append("several networks at create need API 1.44: use `docker network connect`")
    return found


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
    for mount in host.get("Mounts", []):
        if mount["Type"] == "image":
            mount["Source"] = await _pin_image(x, mount.get("Source", ""))
    endpoints = body.get("NetworkingConfig", {}).get("EndpointsConfig", {})
    pinned = {}
    for key, endpoint in endpoints.items():
        pinned[await _pin_endpoint(x, key, mode, pins, endpoint)] = endpoint
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


async def _pin_endpoint(x: Exchange, key: str, mode: str, pins: dict[str, str], endpoint: dict[str, Any]) -> str:
    if key in ("default", "bridge", "none") and (mode or "default") in ("default", "bridge", "none"):
        if any(endpoint.get("IPAMConfig", {}).values()):
            raise refusal_of(x, "create this container", ["an address of one's own choice exists on own networks only"])
        return key
    if key in pins and not endpoint.get("IPAMConfig"):
        return pins[key]
    found = await _network(x, pins.get(key) or key)
    problems = find_wrong_addresses(endpoint, found)
    if problems:
        raise refusal_of(x, "create this container", problems)
    return str(found["Id"])


def find_wrong_addresses(endpoint: dict[str, Any], network: dict[str, Any]) -> list[str]:
    """Return a violation per address of an endpoint that lies outside its network's subnets."""
    given = endpoint.get("IPAMConfig", {})
    subnets = [ip_network(c["Subnet"], strict=False) for c in (network.get("IPAM") or {}).get("Config") or [] if c.get("Subnet")]
    found = []
    for text in [given.get("IPv4Address"), given.get("IPv6Address"), *given.get("LinkLocalIPs", [])]:
        try:
            inside = not text or any(ip_address(text) in subnet for subnet in subnets)
        except ValueError:
            inside = False
        if not inside:
            found.append(f"address {text}: it must lie in {', '.join(str(s) for s in subnets) or 'a subnet'} of network {network['Name']}")
    return found


async def _pin_network(x: Exchange, ref: str) -> str:
    return str((await _network(x, ref))["Id"])


async def _network(x: Exchange, ref: str) -> dict[str, Any]:
    """A missing network is 403 here: at 404 the CLI would pull the image (``engine-api.md`` 1.8)."""
    try:
        found = await resolve.network(x, ref)
    except Refusal as missing:
        raise Refusal(403, f"hostadmin refused to create this container: {missing.message}", "ownership") from None
    if found["Name"] == "host":
        raise Refusal(403, "hostadmin refused to create this container: network mode 'host'", "admission")
    return found


async def _pin_image(x: Exchange, ref: str) -> str:
    """A missing image to mount is 403: at 404 the CLI would pull the container's own."""
    try:
        return str((await resolve.image(x, ref))["Id"])
    except Refusal as missing:
        raise Refusal(403, f"hostadmin refused to create this container: image mount: {missing.message}", "ownership") from None


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
        rows = created_rows(x, found) if status == "ok" and found else mounts.withdraw_work(claimed)
        await x.conclude(intent, status, target=Target("container", created, name or None, x.caller.owner), also=rows)
    if status != "ok":
        x.send_json(response.status, {"message": x.clean(error_message(data))})
        return
    x.send(201, data, passed_fields(response))


async def _verify(x: Exchange, found: dict[str, Any], image: dict[str, Any], body: dict[str, Any]) -> None:
    """Look at what has been created (``engine-api.md`` 3.4) before anybody may start it: the image has its part in it."""
    config, host = found.get("Config") or {}, found.get("HostConfig") or {}
    problems = mounts.find_forbidden(x, found)
    if found.get("Image") != image["Id"]:
        problems.append("the image was changed by somebody meanwhile; try again")
    known = (OWNER_LABEL, REQUEST_LABEL)
    labels = config.get("Labels") or {}
    problems += admission.find_reserved_labels({k: v for k, v in labels.items() if k not in known})
    problems += [f"{text} (it is the image that says so)" for text in admission.find_slow_or_busy(config)]
    problems += mounts.find_unasked(x, found, body)
    if host.get("CgroupParent", "") != body["HostConfig"].get("CgroupParent", ""):
        problems.append("it would not lie in your control group")
    if problems:
        raise refusal_of(x, "create this container", problems)


def created_rows(x: Exchange, found: dict[str, Any]) -> Any:
    """Record the container and the unnamed volumes that came into being with it, in one step (rule 9)."""
    owner = x.caller.owner
    name = found["Name"].removeprefix("/")
    made = [m["Name"] for m in found.get("Mounts") or [] if m.get("Type") == "volume" and m.get("Name")]
    detail = {"image": found["Config"]["Image"], "state": found["State"]["Status"], "restart": found["HostConfig"]["RestartPolicy"]["Name"]}
    detail |= holds(found)

    def work(tx: Tx) -> None:
        objects.put(tx, Kind.CONTAINER, found["Id"], name=name, owner_id=owner, attribution=Attribution.GUARD, detail=detail)
        for volume in made:
            objects.put(tx, Kind.VOLUME, volume, name=volume, owner_id=owner, attribution=Attribution.SIDE_EFFECT)

    return work
