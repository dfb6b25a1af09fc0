"""The guard's whole surface: every operation of the Engine API is one row with one rule word.

Law of this file: what matches no row is refused; a row that is not built yet refuses with its reason.
Templates and operation names are the Engine API's own (moby ``api/swagger.yaml``); the test beside it
compares them with the API's list. What a rule word does stands in ``guard.rules``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from hostadmin.audit.actions import Action
from hostadmin.guard.pathnames import Grammar, grammar_of
from hostadmin.guard.query import OLDEST, Parameter, read_parameters
from hostadmin.guard.refusal import malformed
from hostadmin.guard.target import Version, decode


class Rule(Enum):
    """The rule words."""

    PING = auto()
    VERSION = auto()
    INFO = auto()
    EVENTS = auto()
    CONTAINER_LIST = auto()
    CONTAINER_CREATE = auto()
    CONTAINER_INSPECT = auto()
    CONTAINER_READ = auto()  # own; the answer passes
    CONTAINER_CHANGE = auto()  # own; recorded
    CONTAINER_START = auto()  # own; judged again
    CONTAINER_RENAME = auto()
    CONTAINER_UPDATE = auto()
    CONTAINER_REMOVE = auto()
    CONTAINER_ATTACH = auto()
    CONTAINER_WEBSOCKET = auto()
    CONTAINER_UPLOAD = auto()
    EXEC_CREATE = auto()
    EXEC_START = auto()
    EXEC_READ = auto()
    IMAGE_LIST = auto()
    IMAGE_READ = auto()
    IMAGE_SAVE = auto()
    IMAGE_SAVE_MANY = auto()
    IMAGE_TAG = auto()
    IMAGE_REMOVE = auto()
    IMAGE_CREATE = auto()
    IMAGE_LOAD = auto()
    IMAGE_COMMIT = auto()
    IMAGE_PUSH = auto()
    IMAGE_SEARCH = auto()
    REGISTRY_INSPECT = auto()
    REGISTRY_LOGIN = auto()
    BUILD = auto()
    NETWORK_LIST = auto()
    NETWORK_INSPECT = auto()
    NETWORK_CREATE = auto()
    NETWORK_CONNECT = auto()
    NETWORK_REMOVE = auto()
    VOLUME_LIST = auto()
    VOLUME_INSPECT = auto()
    VOLUME_CREATE = auto()
    VOLUME_REMOVE = auto()
    CONTAINER_PRUNE = auto()
    IMAGE_PRUNE = auto()
    NETWORK_PRUNE = auto()
    VOLUME_PRUNE = auto()
    BUILD_PRUNE = auto()
    DISK_USAGE = auto()
    EMPTY_LIST = auto()
    NO_SUCH_PLUGIN = auto()
    NO_SWARM = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One row: what it is, which rule judges it, which parameters it takes.

    ``query`` maps a parameter to its kind, in the notation of ``guard.query``. ``since`` is the minor version
    that brought the operation. ``long`` answers end with the caller (rule S7). ``upgrade`` is the protocol that
    the connection may change to, if caller and engine agree (1.7).
    """

    method: str
    template: str
    operation: str
    rule: Rule
    query: Mapping[str, str] = field(default_factory=dict)
    action: Action | None = None
    reason: str = ""
    long: bool = False
    since: int = OLDEST
    upgrade: str = ""
    pattern: "re.Pattern[str]" = field(init=False, repr=False, compare=False)
    parameters: Mapping[str, Parameter] = field(init=False, repr=False, compare=False)
    grammar: Grammar = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the row: image names may hold slashes, nothing else may."""
        wide = self.template.startswith(("/images/", "/distribution/", "/plugins/", "/{any}"))
        text = re.sub(r"\{\w+\}", "(.+)" if wide else "([^/]+)", re.escape(self.template).replace(r"\{", "{").replace(r"\}", "}"))
        object.__setattr__(self, "pattern", re.compile(text[1:]))
        object.__setattr__(self, "parameters", read_parameters(self.operation, self.query))
        object.__setattr__(self, "grammar", grammar_of(self.template))

    def check_version(self, version: Version) -> None:
        """Refuse the operation in a version that does not have it yet, in the engine's words.

        Raises:
            Refusal: 400.

        """
        if version[1] < self.since:
            raise malformed(f"{self.method} {self.template} requires minimum API version 1.{self.since}")


REFUSING: Final = frozenset({Rule.REFUSED, Rule.NO_SWARM, Rule.NO_SUCH_PLUGIN})
"""Words that refuse whatever the parameters are."""


def _row(method: str, template: str, operation: str, rule: Rule, action: Action | None = None, **more: object) -> Route:
    return Route(method, template, operation, rule, action=action, **more)  # type: ignore[arg-type]


def _refused(reason: str, *rows: tuple[str, str, str]) -> tuple[Route, ...]:
    return tuple(_row(*row, Rule.REFUSED, Action.OPERATION_REFUSE, reason=reason) for row in rows)


LOGS: Final = {"follow": "b", "stdout": "b", "stderr": "b", "since": "t", "until": "t", "timestamps": "b", "tail": "tail", "details": "b"}
ATTACH: Final = {"detachKeys": "keys", "logs": "b", "stream": "b", "stdin": "b", "stdout": "b", "stderr": "b"}
WEBSOCKET: Final = {**ATTACH, "stdin": "b@42~", "stdout": "b@42~", "stderr": "b@42~"}
SIZE: Final = {"h": "u", "w": "u"}
FILTERS: Final = {"filters": "f"}
BUILD_PRUNE: Final = {
    "all": "b",
    "filters": "f",
    "keep-storage": "l",
    "reserved-space": "l@48",
    "max-used-space": "l@48",
    "min-free-space": "l@48",
}
STOP: Final = {"signal": "signal@42", "t": "i"}
DELETE_IMAGE: Final = {"force": "b", "noprune": "b", "platforms": "!an image goes as a whole: others may hold the same data"}
BUILDKIT: Final = "BuildKit is not supported yet: set DOCKER_BUILDKIT=0 to build with the classic builder"

CONTAINERS: Final = (
    _row(
        "GET",
        "/containers/json",
        "ContainerList",
        Rule.CONTAINER_LIST,
        query={"all": "b", "limit": "i", "size": "b", "filters": "f", "trunc_cmd": "-", "since": "ref", "before": "ref"},
    ),
    _row(
        "POST",
        "/containers/create",
        "ContainerCreate",
        Rule.CONTAINER_CREATE,
        Action.CONTAINER_CREATE,
        query={"name": "s", "platform": "p"},
    ),
    _row("GET", "/containers/{id}/json", "ContainerInspect", Rule.CONTAINER_INSPECT, query={"size": "b"}),
    _row("GET", "/containers/{id}/top", "ContainerTop", Rule.CONTAINER_READ, query={"ps_args": "ps"}),
    _row("GET", "/containers/{id}/logs", "ContainerLogs", Rule.CONTAINER_READ, query=LOGS, long=True),
    _row("GET", "/containers/{id}/changes", "ContainerChanges", Rule.CONTAINER_READ),
    _row("GET", "/containers/{id}/export", "ContainerExport", Rule.CONTAINER_READ),
    _row("GET", "/containers/{id}/stats", "ContainerStats", Rule.CONTAINER_READ, query={"stream": "b", "one-shot": "b"}, long=True),
    _row("POST", "/containers/{id}/resize", "ContainerResize", Rule.CONTAINER_READ, query=SIZE),
    _row("POST", "/containers/{id}/start", "ContainerStart", Rule.CONTAINER_START, Action.CONTAINER_START, query={"detachKeys": "keys"}),
    _row("POST", "/containers/{id}/stop", "ContainerStop", Rule.CONTAINER_CHANGE, Action.CONTAINER_STOP, query=STOP),
    _row("POST", "/containers/{id}/restart", "ContainerRestart", Rule.CONTAINER_START, Action.CONTAINER_RESTART, query=STOP),
    _row("POST", "/containers/{id}/kill", "ContainerKill", Rule.CONTAINER_CHANGE, Action.CONTAINER_KILL, query={"signal": "signal"}),
    _row("POST", "/containers/{id}/update", "ContainerUpdate", Rule.CONTAINER_UPDATE, Action.CONTAINER_UPDATE),
    _row("POST", "/containers/{id}/rename", "ContainerRename", Rule.CONTAINER_RENAME, Action.CONTAINER_RENAME, query={"name": "s"}),
    _row("POST", "/containers/{id}/pause", "ContainerPause", Rule.CONTAINER_CHANGE, Action.CONTAINER_PAUSE),
    _row("POST", "/containers/{id}/unpause", "ContainerUnpause", Rule.CONTAINER_CHANGE, Action.CONTAINER_UNPAUSE),
    _row("POST", "/containers/{id}/attach", "ContainerAttach", Rule.CONTAINER_ATTACH, Action.CONTAINER_ATTACH, query=ATTACH, upgrade="tcp"),
    _row(
        "GET",
        "/containers/{id}/attach/ws",
        "ContainerAttachWebsocket",
        Rule.CONTAINER_WEBSOCKET,
        Action.CONTAINER_ATTACH,
        query=WEBSOCKET,
        upgrade="websocket",
    ),
    _row("POST", "/containers/{id}/wait", "ContainerWait", Rule.CONTAINER_READ, query={"condition": "condition"}, long=True),
    _row(
        "DELETE",
        "/containers/{id}",
        "ContainerDelete",
        Rule.CONTAINER_REMOVE,
        Action.CONTAINER_REMOVE,
        query={"v": "b", "force": "b", "link": "b"},
    ),
    _row("POST", "/containers/prune", "ContainerPrune", Rule.CONTAINER_PRUNE, Action.CONTAINER_PRUNE, query=FILTERS),
    _row("HEAD", "/containers/{id}/archive", "ContainerArchiveInfo", Rule.CONTAINER_READ, query={"path": "path"}),
    _row("GET", "/containers/{id}/archive", "ContainerArchive", Rule.CONTAINER_READ, query={"path": "path"}),
    _row(
        "PUT",
        "/containers/{id}/archive",
        "PutContainerArchive",
        Rule.CONTAINER_UPLOAD,
        Action.CONTAINER_ARCHIVE_PUT,
        query={"path": "path", "noOverwriteDirNonDir": "b", "copyUIDGID": "b"},
    ),
    _row("POST", "/containers/{id}/exec", "ContainerExec", Rule.EXEC_CREATE, Action.EXEC_CREATE),
    _row("POST", "/exec/{id}/start", "ExecStart", Rule.EXEC_START, Action.EXEC_START, upgrade="tcp"),
    _row("POST", "/exec/{id}/resize", "ExecResize", Rule.EXEC_READ, query=SIZE),
    _row("GET", "/exec/{id}/json", "ExecInspect", Rule.EXEC_READ),
)
IMAGES: Final = (
    _row(
        "GET",
        "/images/json",
        "ImageList",
        Rule.IMAGE_LIST,
        query={
            "all": "b",
            "filters": "f",
            "shared-size": "b@42",
            "digests": "b",
            "manifests": "b@47",
            "identity": "b@54",
            "only_ids": "-",
        },
    ),
    _row(
        "POST",
        "/images/create",
        "ImageCreate",
        Rule.IMAGE_CREATE,
        Action.IMAGE_PULL,
        long=True,
        query={"fromImage": "s", "fromSrc": "s", "repo": "s", "tag": "s", "message": "s", "changes": "lines*", "platform": "p"},
    ),
    _row("GET", "/images/{name}/json", "ImageInspect", Rule.IMAGE_READ, query={"manifests": "b@48", "platform": "j@49"}),
    _row("GET", "/images/{name}/history", "ImageHistory", Rule.IMAGE_READ, query={"platform": "j@48"}),
    _row("GET", "/images/{name}/get", "ImageGet", Rule.IMAGE_SAVE, query={"platform": "j*52@48"}),
    _row("GET", "/images/get", "ImageGetAll", Rule.IMAGE_SAVE_MANY, query={"names": "image*", "platform": "j*52@48"}),
    _row("POST", "/images/{name}/tag", "ImageTag", Rule.IMAGE_TAG, Action.IMAGE_TAG, query={"repo": "s", "tag": "s", "force": "-"}),
    _row("DELETE", "/images/{name}", "ImageDelete", Rule.IMAGE_REMOVE, Action.IMAGE_REMOVE, query=DELETE_IMAGE),
    _row("POST", "/images/load", "ImageLoad", Rule.IMAGE_LOAD, Action.IMAGE_LOAD, query={"quiet": "b", "platform": "j*52@48"}, long=True),
    _row(
        "POST",
        "/commit",
        "ImageCommit",
        Rule.IMAGE_COMMIT,
        Action.CONTAINER_COMMIT,
        query={"container": "ref", "repo": "s", "tag": "s", "comment": "s", "author": "s", "pause": "b", "changes": "lines*"},
    ),
    _row(
        "POST",
        "/build",
        "ImageBuild",
        Rule.BUILD,
        Action.IMAGE_BUILD,
        long=True,
        query={
            "dockerfile": "path",
            "t": "s*",
            "extrahosts": "s*",
            "remote": "s",
            "q": "b",
            "nocache": "b",
            "cachefrom": "s",
            "pull": "b",
            "rm": "b",
            "forcerm": "b",
            "memory": "l",
            "memswap": "l",
            "cpushares": "l",
            "cpusetcpus": "s",
            "cpusetmems": "s",
            "cpuperiod": "l",
            "cpuquota": "l",
            "buildargs": "s",
            "shmsize": "l",
            "squash": "b",
            "labels": "s",
            "networkmode": "s",
            "platform": "p",
            "target": "s",
            "outputs": "s",
            "version": "s",
            "cgroupparent": "s",
            "ulimits": "s",
            "isolation": "s",
            "securityopt": "s",
            "session": "s",
            "buildid": "-",
        },
    ),
    _row(
        "GET",
        "/images/{name}/attestations",
        "ImageAttestations",
        Rule.IMAGE_READ,
        query={"platform": "j*", "type": "s*", "statement": "b"},
        since=55,
    ),
    _row(
        "POST",
        "/images/{name}/push",
        "ImagePush",
        Rule.IMAGE_PUSH,
        Action.IMAGE_PUSH,
        long=True,
        query={"tag": "s", "platform": "j@46~"},
    ),
    _row("GET", "/images/search", "ImageSearch", Rule.IMAGE_SEARCH, query={"term": "s", "limit": "i", "filters": "f"}),
    _row("GET", "/distribution/{name}/json", "DistributionInspect", Rule.REGISTRY_INSPECT),
    _row("POST", "/images/prune", "ImagePrune", Rule.IMAGE_PRUNE, Action.IMAGE_PRUNE, query=FILTERS),
    _row("POST", "/build/prune", "BuildPrune", Rule.BUILD_PRUNE, query=BUILD_PRUNE),
    _row("POST", "/session", "Session", Rule.REFUSED, Action.OPERATION_REFUSE, reason=BUILDKIT, upgrade="h2c"),
    _row("POST", "/grpc", "Grpc", Rule.REFUSED, Action.OPERATION_REFUSE, reason=BUILDKIT, upgrade="h2c"),
    *_refused("builds end with their connection", ("POST", "/build/cancel", "BuildCancel")),
)
NETWORKS: Final = (
    _row("GET", "/networks", "NetworkList", Rule.NETWORK_LIST, query={"filters": "f"}),
    _row("GET", "/networks/", "NetworkListSlash", Rule.NETWORK_LIST, query={"filters": "f"}),
    _row("GET", "/networks/{id}", "NetworkInspect", Rule.NETWORK_INSPECT, query={"verbose": "bool", "scope": "scope"}),
    _row("POST", "/networks/create", "NetworkCreate", Rule.NETWORK_CREATE, Action.NETWORK_CREATE),
    _row("POST", "/networks/{id}/connect", "NetworkConnect", Rule.NETWORK_CONNECT, Action.NETWORK_CONNECT),
    _row("POST", "/networks/{id}/disconnect", "NetworkDisconnect", Rule.NETWORK_CONNECT, Action.NETWORK_DISCONNECT),
    _row("DELETE", "/networks/{id}", "NetworkDelete", Rule.NETWORK_REMOVE, Action.NETWORK_REMOVE),
    _row("POST", "/networks/prune", "NetworkPrune", Rule.NETWORK_PRUNE, Action.NETWORK_PRUNE, query=FILTERS),
)
VOLUMES: Final = (
    _row("GET", "/volumes", "VolumeList", Rule.VOLUME_LIST, query={"filters": "f"}),
    _row("POST", "/volumes/create", "VolumeCreate", Rule.VOLUME_CREATE, Action.VOLUME_CREATE),
    _row("GET", "/volumes/{name}", "VolumeInspect", Rule.VOLUME_INSPECT),
    _row("DELETE", "/volumes/{name}", "VolumeDelete", Rule.VOLUME_REMOVE, Action.VOLUME_REMOVE, query={"force": "b"}),
    _row(
        "PUT",
        "/volumes/{name}",
        "VolumeUpdate",
        Rule.REFUSED,
        Action.OPERATION_REFUSE,
        reason="there are no cluster volumes here",
        since=42,
    ),
    _row("POST", "/volumes/prune", "VolumePrune", Rule.VOLUME_PRUNE, Action.VOLUME_PRUNE, query=FILTERS),
)
SYSTEM: Final = (
    _row("HEAD", "/_ping", "SystemPingHead", Rule.PING),
    _row("GET", "/_ping", "SystemPing", Rule.PING),
    _row("GET", "/version", "SystemVersion", Rule.VERSION),
    _row("GET", "/info", "SystemInfo", Rule.INFO),
    _row(
        "GET", "/events", "SystemEvents", Rule.EVENTS, query={"since": "t", "until": "t", "filters": "f", "stream": "-"}, long=True
    ),  # aiodocker sends `stream`
    _row("POST", "/auth", "SystemAuth", Rule.REGISTRY_LOGIN, Action.REGISTRY_LOGIN),
    _row("GET", "/system/df", "SystemDataUsage", Rule.DISK_USAGE, query={"type": "part*@42~", "verbose": "b@52~"}),
    *_refused(
        "checkpoints name directories of the host",
        ("GET", "/containers/{id}/checkpoints", "CheckpointList"),
        ("POST", "/containers/{id}/checkpoints", "CheckpointCreate"),
        ("DELETE", "/containers/{id}/checkpoints/{checkpoint}", "CheckpointDelete"),
    ),
    *_refused("the engine answers every path and says nothing", ("OPTIONS", "/{any}", "Options")),
    *_refused(
        "the engine's memory is not shown",
        *(
            ("GET", f"/debug/{name}", f"Debug{i}")
            for i, name in enumerate(("vars", "pprof/", "pprof/cmdline", "pprof/profile", "pprof/symbol", "pprof/trace", "pprof/{name}"))
        ),
    ),
)
PLUGINS: Final = (
    _row("GET", "/plugins", "PluginList", Rule.EMPTY_LIST, query={"filters": "f"}),
    _row("GET", "/plugins/{name}/json", "PluginInspect", Rule.NO_SUCH_PLUGIN),
    *_refused(
        "a plugin is root on the host",
        ("GET", "/plugins/privileges", "GetPluginPrivileges"),
        ("POST", "/plugins/pull", "PluginPull"),
        ("DELETE", "/plugins/{name}", "PluginDelete"),
        ("POST", "/plugins/{name}/enable", "PluginEnable"),
        ("POST", "/plugins/{name}/disable", "PluginDisable"),
        ("POST", "/plugins/{name}/upgrade", "PluginUpgrade"),
        ("POST", "/plugins/create", "PluginCreate"),
        ("POST", "/plugins/{name}/push", "PluginPush"),
        ("POST", "/plugins/{name}/set", "PluginSet"),
    ),
)
SWARM: Final = tuple(
    _row(method, template, operation, Rule.NO_SWARM, Action.OPERATION_REFUSE if method != "GET" else None)
    for method, template, operation in (
        ("GET", "/swarm", "SwarmInspect"),
        ("POST", "/swarm/init", "SwarmInit"),
        ("POST", "/swarm/join", "SwarmJoin"),
        ("POST", "/swarm/leave", "SwarmLeave"),
        ("POST", "/swarm/update", "SwarmUpdate"),
        ("GET", "/swarm/unlockkey", "SwarmUnlockkey"),
        ("POST", "/swarm/unlock", "SwarmUnlock"),
        ("GET", "/nodes", "NodeList"),
        ("GET", "/nodes/{id}", "NodeInspect"),
        ("DELETE", "/nodes/{id}", "NodeDelete"),
        ("POST", "/nodes/{id}/update", "NodeUpdate"),
        ("GET", "/services", "ServiceList"),
        ("POST", "/services/create", "ServiceCreate"),
        ("GET", "/services/{id}", "ServiceInspect"),
        ("DELETE", "/services/{id}", "ServiceDelete"),
        ("POST", "/services/{id}/update", "ServiceUpdate"),
        ("GET", "/services/{id}/logs", "ServiceLogs"),
        ("GET", "/tasks", "TaskList"),
        ("GET", "/tasks/{id}", "TaskInspect"),
        ("GET", "/tasks/{id}/logs", "TaskLogs"),
        ("GET", "/secrets", "SecretList"),
        ("POST", "/secrets/create", "SecretCreate"),
        ("GET", "/secrets/{id}", "SecretInspect"),
        ("DELETE", "/secrets/{id}", "SecretDelete"),
        ("POST", "/secrets/{id}/update", "SecretUpdate"),
        ("GET", "/configs", "ConfigList"),
        ("POST", "/configs/create", "ConfigCreate"),
        ("GET", "/configs/{id}", "ConfigInspect"),
        ("DELETE", "/configs/{id}", "ConfigDelete"),
        ("POST", "/configs/{id}/update", "ConfigUpdate"),
    )
)
ROUTES: Final = (*CONTAINERS, *IMAGES, *NETWORKS, *VOLUMES, *SYSTEM, *PLUGINS, *SWARM)

_LITERAL: Final = {(r.method, r.template[1:]): r for r in ROUTES if "{" not in r.template}
_CAPTURING: Final[dict[tuple[str, str], list[Route]]] = {}
for _route in ROUTES:
    if "{" in _route.template:
        _CAPTURING.setdefault((_route.method, _route.template.split("/")[1]), []).append(_route)


def match(method: str, segments: list[str]) -> tuple[Route, tuple[str, ...]]:
    """Return the one row of a request and its path parameters, decoded once.

    Raises:
        Refusal: 404 ``page not found``, as the engine answers it; what it answers to a name that cannot be one.

    """
    path = "/".join(segments)
    literal = _LITERAL.get((method, path))
    if literal is not None:
        return literal, ()
    for route in _CAPTURING.get((method, segments[0] if method != "OPTIONS" else "{any}"), ()):
        found = route.pattern.fullmatch(path)
        if found:
            return route, tuple(route.grammar.check(decode(group)) for group in found.groups())
    raise malformed("page not found", status=404)
