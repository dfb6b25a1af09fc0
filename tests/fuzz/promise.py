"""What no request that the guard writes may say, judged without the guard's code (compare ``tests.fuzz.oracle``)."""

import re
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from tests.fuzz import oracle
from tests.fuzz.oracle import Owned
from tests.fuzz.scripted import PARENT, SECRET, Forwarded, Verdict
from tests.fuzz.generator import Refs

CANONICAL: Final = re.compile(r"/(v1\.(4[1-9]|5[01])/(?!v[0-9]))?(?!v[0-9])[A-Za-z0-9_.~:@%/-]+(\?[A-Za-z0-9_.~%=&!+*-]*)?")
FIELDS: Final = frozenset(
    [
        "Content-Type",
        "Content-Length",
        "Connection",
        "Upgrade",
        "X-Registry-Auth",
        "X-Registry-Config",
        "Accept",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol",
        "Origin",
    ]
)
BODIES: Final = {"create", "update", "exec", "start", "connect", "disconnect", "commit", "archive", "load", "build", "auth"}
NEVER: Final = re.compile(
    r"\w+ /v[0-9.]+/((swarm|services|nodes|secrets|configs|tasks|plugins|session|grpc|debug)\b.*|build/cancel|containers/[^/]+/checkpoints.*)"
    r"|POST .*/prune|\w+ /(session|grpc|debug).*"
)
REGISTRY: Final = re.compile(r"/(auth|distribution/.*|images/search|images/create|images/.*/push)$")
PARAMETERS: Final = frozenset(
    [
        "all",
        "size",
        "filters",
        "limit",
        "name",
        "platform",
        "follow",
        "stdout",
        "stderr",
        "since",
        "until",
        "timestamps",
        "tail",
        "details",
        "stream",
        "one-shot",
        "h",
        "w",
        "detachKeys",
        "signal",
        "t",
        "v",
        "force",
        "path",
        "noOverwriteDirNonDir",
        "copyUIDGID",
        "ps_args",
        "condition",
        "logs",
        "stdin",
        "fromImage",
        "tag",
        "fromSrc",
        "repo",
        "message",
        "changes",
        "names",
        "noprune",
        "quiet",
        "container",
        "comment",
        "author",
        "pause",
        "dockerfile",
        "q",
        "nocache",
        "pull",
        "rm",
        "forcerm",
        "memory",
        "memswap",
        "cpushares",
        "cpuperiod",
        "cpuquota",
        "cpusetcpus",
        "cpusetmems",
        "shmsize",
        "buildargs",
        "labels",
        "networkmode",
        "cachefrom",
        "extrahosts",
        "target",
        "version",
        "cgroupparent",
        "ulimits",
        "shared-size",
        "digests",
        "manifests",
        "verbose",
        "scope",
        "type",
        "term",
        "id",
    ]
)


def broken_promises(verdict: Verdict, refs: Refs, owner: str) -> list[str]:
    """Return what is wrong with what came of some bytes."""
    found = [f"the guard failed: {verdict.failure}"] if verdict.failure else []
    if SECRET.encode() in verdict.answer:
        found.append("the answer holds the victim's secret")
    owned = _owned(refs, owner)
    for request in verdict.forwarded:
        found += [f"{request.method} {request.target[:200]}: {text}" for text in judge_request(request, refs, owned)]
    return found


def _owned(refs: Refs, owner: str) -> Owned:
    return Owned(
        owner,
        containers={ref: owner if whose == "own" else whose for whose in refs for ref in refs[whose]["BOXID"]},
        networks={ref: owner if whose == "own" else whose for whose in refs for ref in refs[whose]["NETID"]},
        volumes={ref: owner if whose == "own" else whose for whose in refs for ref in refs[whose]["VOL"]},
    )


def judge_request(request: Forwarded, refs: Refs, owned: Owned) -> list[str]:
    """Return what is wrong with one request for the engine."""
    wrong = [] if CANONICAL.fullmatch(request.target) else ["not canonical"]
    path, _, query = request.target.partition("?")
    if NEVER.fullmatch(f"{request.method} {path}") or ".." in path.split("/") or "//" in path:
        wrong.append("an operation that nobody has")
    wrong += [f"header {name}" for name, _ in request.fields if name not in FIELDS]
    contacts = path if not path.endswith("/images/create") else dict(parse_qsl(query)).get("fromImage", "")
    if REGISTRY.search(path) and re.search(
        r"127\.0\.0\.1|localhost", unquote(contacts) + ("" if "create" in path else query + request.body.decode("latin-1"))
    ):
        wrong.append("a registry that the profile does not list")
    names = [name for name, _ in parse_qsl(query, keep_blank_values=True)]
    wrong += [f"parameter {name}" for name in names if name not in PARAMETERS]
    if request.method in ("GET", "HEAD") and not path.endswith("/attach/ws"):  # which can write
        return wrong
    foreign = {text for whose in ("victim", "host") for key in ("BOX", "BOXID", "NETID", "VOL", "EXEC") for text in refs[whose][key]} - set(
        refs["host"]["NETID"][::2]
    )  # bridge and none are everybody's
    words = [unquote(word) for word in path.split("/")]
    wrong += [f"names {word}" for word in words if word in foreign]
    if words[-1] not in BODIES and request.body and words[-2:] != ["images", "create"]:
        wrong.append("a body")
    if path.endswith(("/containers/create", "/update")):
        wrong += _judge_body(request.json(), owned, creating=path.endswith("create"))
    if path.endswith("/exec") and request.json().get("Privileged"):
        wrong.append("privileged")
    if path.endswith(("/connect", "/disconnect")) and owned.containers.get(request.json().get("Container")) != owned.attacker:
        wrong.append("a container that is not the caller's")
    if path.endswith("/networks/create"):
        wrong += _judge_network(request.json(), owned)
    if path.endswith("/volumes/create") and (request.json().get("DriverOpts") or request.json().get("Driver", "local") != "local"):
        wrong.append("a volume with options")
    return wrong


def _judge_body(body: dict[str, Any], owned: Owned, *, creating: bool) -> list[str]:
    host = body.get("HostConfig", {}) if creating else body
    unknown = set(body) - CONFIG - ({"HostConfig", "NetworkingConfig"} if creating else set()) - (set() if creating else set(host))
    wrong = [f"member {name}" for name in unknown]
    wrong += [f"{name} is {host[name]!r}" for name in oracle.MUST_BE_EMPTY if host.get(name) not in (None, "", [], {}, 0, False)]
    wrong += [f"{name} is {host[name]!r}" for name in ("MaskedPaths", "ReadonlyPaths") if name in host]
    wrong += [f"capability {c}" for c in host.get("CapAdd") or [] if c.upper().removeprefix("CAP_") not in oracle.CAPABILITY_NAMES]
    wrong += [f"security option {o}" for o in host.get("SecurityOpt") or [] if not re.fullmatch("no-new-privileges([:=]true)?", o)]
    wrong += [f"sysctl {s}" for s in host.get("Sysctls") or {} if s not in oracle.SYSCTLS]
    if host.get("PidsLimit") is not None and not 0 < host["PidsLimit"] <= 1024:
        wrong.append(f"PidsLimit {host['PidsLimit']}")
    if not creating:
        return wrong
    if (
        host.get("CgroupnsMode") != "private"
        or host.get("CgroupParent") != PARENT
        or body.get("Labels", {}).get("io.hostadmin.owner") != owned.attacker
    ):
        wrong.append("not what is forced")
    wrong += [
        f"label {k}"
        for k in body["Labels"]
        if k.casefold().startswith("io.hostadmin.") and k not in ("io.hostadmin.owner", "io.hostadmin.req")
    ]
    log = host.get("LogConfig") or {}
    capped = log.get("Type") in ("json-file", "local") and (log.get("Config") or {}).get("max-size")
    wrong += [] if capped else [f"log {log}"]
    wrong += oracle._judge_ports(host) + oracle._judge_namespaces(host, owned)
    return wrong + _judge_mounts(host, owned) + _judge_endpoints(body, owned)


def _judge_mounts(host: dict[str, Any], owned: Owned) -> list[str]:
    sources = [b.split(":")[0] for b in host.get("Binds") or [] if ":" in b]
    for mount in host.get("Mounts") or []:
        if mount.get("Type") not in ("volume", "tmpfs"):
            return [f"mount {mount}"]
        sources += [mount["Source"]] if mount.get("Source") and mount["Type"] == "volume" else []
        if set(mount.get("VolumeOptions") or {}) - {"NoCopy", "Labels", "Subpath"}:
            return [f"volume options {mount['VolumeOptions']}"]
    wrong = [
        f"source {s!r}"
        for s in sources
        if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", s) or owned.volumes.get(s, owned.attacker) != owned.attacker
    ]
    froms = [v.split(":")[0] for v in host.get("VolumesFrom") or []]
    return wrong + [f"volumes from {v!r}" for v in froms if owned.containers.get(v) != owned.attacker]


def _judge_endpoints(body: dict[str, Any], owned: Owned) -> list[str]:
    keys = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    shared = ("default", "bridge", "none")
    bridges = {ref for ref, who in owned.networks.items() if who == owned.attacker}
    wrong = [f"endpoint {key}" for key in keys if key not in shared and key not in bridges and owned.networks.get(key) != "host"]
    return wrong + [f"endpoint with {name}" for e in keys.values() for name in ("Links", "DriverOpts", "MacAddress") if (e or {}).get(name)]


def _judge_network(body: dict[str, Any], owned: Owned) -> list[str]:
    wrong = [f"option {o}" for o in body.get("Options") or {} if o not in oracle.NETWORK_OPTIONS]
    wrong += [f"{name} is {body[name]!r}" for name in ("EnableIPv6", "Ingress", "ConfigOnly", "ConfigFrom", "Scope") if body.get(name)]
    if body.get("Driver") != "bridge" or body["Labels"].get("io.hostadmin.owner") != owned.attacker:
        wrong.append("not what is forced")
    return wrong


CONFIG: Final = frozenset(
    [
        "Hostname",
        "Domainname",
        "User",
        "AttachStdin",
        "AttachStdout",
        "AttachStderr",
        "ExposedPorts",
        "Tty",
        "OpenStdin",
        "StdinOnce",
        "Env",
        "Cmd",
        "Healthcheck",
        "ArgsEscaped",
        "Image",
        "Volumes",
        "WorkingDir",
        "Entrypoint",
        "NetworkDisabled",
        "Labels",
        "StopSignal",
        "StopTimeout",
        "Shell",
    ]
)
