"""What stands on the engine for every input, put back between two of them, and pictures of it to compare."""

import re
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from hostadmin.core.values import Kind
from tests.differential.direct import send
from tests.differential.targets import Request
from tests.differential.through import Through
from tests.integration.stage import Engine, until

BOX: Final = "box"
STILL: Final = "still"
IDLE: Final = "idle"
NET: Final = "ownnet"
VOL: Final = "ownvol"
LABELS: Final = {"k": "v", "e": "", "two": "a=b", "ü": "ß"}
SCRIPT: Final = "mkdir -p '/a b'; touch '/a+b'; for n in 0 1 2; do echo line $n; echo error $n >&2; sleep 0.03; done; exit 3"
DRAWN: Final = re.compile(r"/[a-z]+_[a-z]+[0-9]*")  # a name that the engine has drawn
SHORT: Final = re.compile(r"\b[0-9a-f]{12}\b")
POOLED: Final = re.compile(r"172\.1[89]\.\d+(?=\.)")  # the next of the engine's own pool
FULL: Final = re.compile(r"\b[0-9a-f]{64}\b")


class World:
    """The objects of the one student on an engine that has nothing else but its images."""

    def __init__(self, engine: Engine, through: Through) -> None:
        self.eye, self.path, self.through = engine.eye, engine.path, through
        self.tokens: dict[str, str] = {}
        self._call("POST", "/images/alpine/tag?repo=mallory/tool&tag=1.0")
        self._make_network()
        self._make_volume()
        self._make_box()
        self._make_idle()
        self.execs: set[str] = set()
        still = {"Image": "alpine", "Cmd": ["sh", "-c", SCRIPT], "Labels": LABELS, "HostConfig": {"Binds": [f"{VOL}:/v"]}}
        self.still = self._container(STILL, {**still, "ExposedPorts": {"80/tcp": {}}})
        until("it has ended", lambda: not self.eye.container(STILL)["State"]["Running"])
        image = self.eye.get("/images/alpine/json")["Id"]
        through.own_tag("docker.io/mallory/tool:1.0", image)
        self._learn_tokens(image)
        self.images = self._image_names()

    def _call(self, method: str, target: str, body: Any = None) -> Any:
        status, found = self.eye.call(method, target, body)
        assert status < 400, (method, target, status, found)  # noqa: PLR2004
        return found

    def _container(self, name: str, body: dict[str, Any], *, start: bool = True) -> str:
        made = str(self._call("POST", f"/containers/create?name={name}", body)["Id"])
        if start:
            self._call("POST", f"/containers/{made}/start")
        self.through.own(Kind.CONTAINER, made, name)
        return made

    def _make_idle(self) -> None:
        self.idle = self._container(IDLE, {"Image": "alpine"}, start=False)
        self._learn_names("IDLE", IDLE, self.idle)

    def _make_box(self) -> None:
        command = ["sh", "-c", "trap 'echo got >>/got' USR1; while :; do sleep 1000 & wait $!; done"]
        self.box = self._container(BOX, {"Image": "alpine", "Cmd": command, "Labels": {"k": "V"}, "Volumes": {"/anon": {}}})
        self.anonymous = [mount["Name"] for mount in self.eye.container(self.box)["Mounts"]]
        for volume in self.anonymous:
            self.through.own(Kind.VOLUME, volume, volume)
        self._learn_names("BOX", BOX, self.box)

    def _make_network(self) -> None:
        body = {"Name": NET, "CheckDuplicate": True, "Labels": LABELS, "IPAM": {"Config": [{"Subnet": "10.77.0.0/24"}]}}
        made = str(self._call("POST", "/networks/create", body)["Id"])
        self.through.own(Kind.NETWORK, made, NET)
        self.net = made
        self._learn_names("NET", NET, made)

    def _make_volume(self) -> None:
        self._call("POST", "/volumes/create", {"Name": VOL, "Labels": LABELS})
        self.through.own(Kind.VOLUME, VOL, VOL)
        self._learn_names("VOL", VOL, VOL)

    def _learn_names(self, key: str, name: str, full: str) -> None:
        escaped = f"%{ord(name[0]):02x}{name[1:]}"
        self.tokens |= {
            f"{{{key}}}": name, f"{{{key}UP}}": name.upper(), f"{{{key}%}}": escaped, f"{{{key}%u}}": escaped.upper(), f"{{{key}%%}}": quote(escaped),
            f"{{{key}ID}}": full, f"{{{key}ID12}}": full[:12], f"{{{key}ID5}}": full[:5], f"{{{key}IDUP}}": full.upper(),
        }  # fmt: skip

    def _learn_tokens(self, image: str) -> None:
        self._learn_names("STILL", STILL, self.still)
        hexadecimal = image.removeprefix("sha256:")
        self.tokens |= {"{IMGID}": image, "{IMGHEX}": hexadecimal, "{IMGHEX12}": hexadecimal[:12], "{IMGID17}": image[:17]}
        self.tokens |= {"{IMGHEXUP}": hexadecimal.upper(), "{TOOLID}": image}
        asked = f"GET /containers/{STILL}/logs?stdout=1&timestamps=1 HTTP/1.1\r\nHost: docker\r\n\r\n"
        times = re.findall(rb"T(\d\d):(\d\d):(\d\d)\.(\d+)Z line", send(self.path, asked.encode()).body)
        began = self.eye.container(STILL)["State"]["StartedAt"]
        day = _seconds_of_day_start(began)
        for number, (hours, minutes, seconds, fraction) in enumerate(times):
            whole = day + int(hours) * 3600 + int(minutes) * 60 + int(seconds)
            self.tokens[f"{{T{number}}}"] = f"{whole}.{fraction.decode().ljust(9, '0')}"
        one = self.tokens["{T1}"]
        self.tokens |= {"{T1S}": one[:10], "{T1MS}": one[:14], "{T1CS}": one[:13], "{NOW}": str(int(one[:10]) + 2)}

    def fill(self, request: Request) -> bytes:
        """Write a request down with the names that there are now."""
        text = request.target
        body = request.body
        for token, value in self.tokens.items():
            text = text.replace(token, value)
            body = body.replace(token.encode(), value.encode())
        return Request(request.method, text, request.changes, body, request.fields).wire()

    # -- pictures ----------------------------------------------------------------------------------

    def picture(self, kind: str) -> dict[str, Any]:
        """Return what stands there of the kinds that a request may change, without what every making makes anew."""
        found: dict[str, Any] = {}
        if kind in ("box", "idle", "container"):
            known = {self.box: BOX, self.still: STILL, self.idle: IDLE}
            skipped = {"idle": (self.box, self.still), "container": known.keys()}.get(kind, ())
            found["containers"] = {known.get(c, "<made>"): self._container_picture(c) for c in self.eye.containers() if c not in skipped}
        if kind == "exec":
            found["execs"] = [_plain(self.eye.get(f"/exec/{e}/json"), "ID", "ContainerID", "Pid") for e in self._new_execs()]
        if kind in ("volume", "box", "container"):
            skipped = () if kind == "box" else self.anonymous
            volumes = [v for v in self.eye.get("/volumes")["Volumes"] or [] if v["Name"] not in skipped]
            found["volumes"] = [_plain(v, "CreatedAt", "Mountpoint") for v in volumes]
        if kind == "network":
            found["networks"] = [_plain(n, "Created", "Id", "Containers") for n in self.eye.get("/networks")]
        if kind == "image":
            found["images"] = self._new_images()
        return self._anonymous(found)

    def _container_picture(self, full: str) -> dict[str, Any]:
        one = self.eye.container(full)
        _publish(one)
        state = {k: one["State"][k] for k in ("Status", "Paused", "ExitCode", "Running")}
        host = [k for k in one if k.endswith("Path") and k != "Path"]
        found = _plain(one, "Id", "Created", "State", "GraphDriver", "ExecIDs", *host) | {"State": state}
        found["Hostname"] = found["Config"].pop("Hostname").replace(full[:12], "<own>")
        found["Networks"] = {n: _endpoint(e, full) for n, e in (found.pop("NetworkSettings")["Networks"] or {}).items()}
        for mount in found["Mounts"]:
            mount.pop("Source", None)
        found["Mounts"].sort(key=lambda m: str(m["Destination"]))
        found["Name"] = DRAWN.sub("<drawn>", found["Name"])
        return found

    def _new_execs(self) -> set[str]:
        return {e for e in self.eye.container(self.box)["ExecIDs"] or [] if e not in self.execs}

    def _image_names(self) -> set[tuple[str, str]]:
        return {(i["Id"], tag) for i in self.eye.get("/images/json?all=1") for tag in i["RepoTags"] or ["<none>:<none>"]}

    def _new_images(self) -> list[Any]:
        known = {full for full, _ in self.images}
        found = []
        for full, tag in sorted(self._image_names() - self.images):
            one = self.eye.get(f"/images/{full}/json")
            kept = {k: one[k] for k in ("Config", "Comment", "Author", "Parent")} | {"Layers": len(one["RootFS"]["Layers"])}
            found.append([tag, full if full in known else kept])
        return found

    def _anonymous(self, found: Any) -> Any:
        """Put names for ids: of the network that a name was pinned to, and of what has none but its id."""
        if isinstance(found, dict):
            return {self._anonymous(k): self._anonymous(v) for k, v in found.items()}
        if isinstance(found, list):
            named = [self._anonymous(v) for v in found]
            return sorted(named, key=lambda v: str(v["Name"])) if named and isinstance(named[0], dict) and "Name" in named[0] else named
        if isinstance(found, str):
            names = {self.net: NET, self.box: BOX, self.still: STILL, self.idle: IDLE}
            found = FULL.sub(lambda m: names.get(m[0], "<id>"), POOLED.sub("<pool>", found))
            return SHORT.sub(lambda m: next((name for full, name in names.items() if full.startswith(m[0])), m[0]), found)
        return found

    # -- back to the beginning ---------------------------------------------------------------------

    def reset(self, kind: str) -> None:
        """Take away what was made, and put up again what has gone or was changed."""
        if kind == "exec":
            self.execs |= self._new_execs()
            return
        kept = {self.still, self.box, self.idle} - {{"box": self.box, "idle": self.idle}.get(kind, "")}
        for full in self.eye.containers().keys() - kept:
            self._drop_container(full)
        for volume in self.eye.volumes() - {VOL, *(() if kind == "box" else self.anonymous)}:
            self.eye.call("DELETE", f"/volumes/{quote(volume)}?force=1")
            self.through.disown(Kind.VOLUME, volume)
        networks = self.eye.networks()
        for network in networks.keys() - {self.net}:
            self.eye.call("DELETE", f"/networks/{network}")
        if self.net not in networks:
            self.through.disown(Kind.NETWORK, self.net)
            self._make_network()
        if VOL not in self.eye.volumes():
            self._make_volume()
        if kind == "box":
            self._make_box()
        if kind == "idle":
            self._make_idle()
        if kind == "image":
            for full, tag in self._image_names() - self.images:
                self.eye.call("DELETE", f"/images/{quote(full if tag.startswith('<') else tag)}?force=1")

    def _drop_container(self, full: str) -> None:
        self.eye.call("DELETE", f"/containers/{full}?force=1&v=1")
        self.through.disown(Kind.CONTAINER, full)


def _publish(one: dict[str, Any]) -> None:
    """Write out what ``PublishAllPorts`` means, as the guard does."""
    host = one["HostConfig"]
    if host["PublishAllPorts"]:
        host["PublishAllPorts"] = False
        host["PortBindings"] = {**dict.fromkeys(one["Config"].get("ExposedPorts") or {}), **(host["PortBindings"] or {})}


def _plain(found: dict[str, Any], *without: str) -> dict[str, Any]:
    return {k: v for k, v in found.items() if k not in without}


def _endpoint(endpoint: dict[str, Any], full: str) -> dict[str, Any]:
    """Return what somebody asked of an endpoint of the container ``full``."""
    asked = {k: endpoint.get(k) for k in ("IPAMConfig", "Links", "DriverOpts")}
    return {**asked, "Aliases": [a.replace(full[:12], "<own>") for a in endpoint.get("Aliases") or []]}


def _seconds_of_day_start(text: str) -> int:
    return int(datetime.fromisoformat(text[:10]).replace(tzinfo=UTC).timestamp())
