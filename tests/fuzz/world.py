"""The stage of the fuzzer: an attacker, a victim and the host's own objects; what is looked at past the guard."""

import json
import os
import pwd
import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tests.fuzz import oracle
from tests.fuzz.generator import Refs
from tests.integration.people import Student
from tests.integration.stage import Engine, Hostadmin, until

ATTACKER: Final = "mallory"
VICTIM: Final = "victor"
MARK: Final = "v7k3q"  # in the names of the victim's that requests say
HUSH: Final = "h4sh9"  # in the names of those that no request ever says
SECRET: Final = "S3cr3tOfV1ct0r"  # in values that no request ever says
VOLATILE: Final = re.compile(r"GraphDriver|ExecIDs|ResolvConfPath|HostnamePath|HostsPath|LogPath")
NAMESPACES: Final = ("pid", "net", "mnt", "uts", "ipc", "cgroup")
FDS_LIMIT: Final = 300
MEMORY_LIMIT: Final = 400 << 20


class World:
    """Everything that stands before the first request, and what may be asked of the engine and the host after."""

    def __init__(self, engine: Engine, hostadmin: Hostadmin) -> None:
        self.engine, self.hostadmin, self.eye = engine, hostadmin, engine.eye
        for login in (ATTACKER, VICTIM):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
        self.victim, self.attacker_uid = Student(VICTIM), pwd.getpwnam(ATTACKER).pw_uid
        self._make_victim()
        self._make_host()
        self.kept = {"containers": set(self.eye.containers()), "networks": set(self.eye.networks()), "volumes": self.eye.volumes()}
        self.tags = self._tags()
        self.images = {i["Id"] for i in self.eye.get("/images/json?all=1")}
        self.before = self.snapshot()
        self.guard = hostadmin.part("guard")
        self.canaries = self._canaries()
        self.attacker_id = str(hostadmin.rows("select id from users where login = ?", ATTACKER)[0][0])

    def _make_victim(self) -> None:
        v = self.victim
        v.ok("network", "create", f"{MARK}-net", "--label", f"note={SECRET}")
        v.ok("volume", "create", f"{MARK}-vol", "--label", f"note={SECRET}")
        flags = [
            "-e",
            f"PASSWORD={SECRET}",
            "--label",
            f"note={SECRET}",
            "--hostname",
            SECRET,
            "--network",
            f"{MARK}-net",
            "-v",
            f"{MARK}-vol:/data",
        ]
        v.ok(
            "run",
            "-d",
            "--name",
            f"{MARK}-box",
            "--ipc",
            "shareable",
            *flags,
            "alpine",
            "sh",
            "-c",
            f"echo {SECRET} >/data/file; exec sleep 100000",
        )
        v.ok("create", "--name", f"{MARK}-still", "-e", f"PASSWORD={SECRET}", "alpine", "true")
        v.ok("build", "-q", "-t", f"{MARK}-img:1", "-", stdin=f"FROM alpine\nRUN echo {SECRET} >/file\nENV PASSWORD={SECRET}\n")
        v.ok("network", "create", f"{HUSH}-net")
        v.ok("run", "-d", "--name", f"{HUSH}-box", "--network", f"{HUSH}-net", "-v", f"{HUSH}-vol:/data", "alpine", "sleep", "100000")
        v.ok("tag", f"{MARK}-img:1", f"{HUSH}-img:1")
        self.victim_exec = json.loads(
            v.raw("POST", f"/v1.41/containers/{MARK}-box/exec", {"Cmd": ["sh", "-c", SECRET]}).split(b"\r\n\r\n", 1)[1]
        )["Id"]

    def _make_host(self) -> None:
        self.eye.call("POST", "/volumes/create", {"Name": "hostvol"})
        status, made = self.eye.call(
            "POST", "/containers/create?name=hostbox", {"Image": "alpine", "Env": [f"A={SECRET}"], "HostConfig": {"Binds": ["/etc:/etc"]}}
        )
        assert status == 201, made

    # -- what the requests refer to ---------------------------------------------------------------

    def prepare(self) -> Refs:
        """Take everything of the attacker's away, make what their requests refer to, and return all references."""
        self.clear()
        sleeping = {"Image": "alpine", "Cmd": ["sleep", "100000"], "StopSignal": "KILL"}
        host = {"IpcMode": "shareable", "NetworkMode": "ownnet", "Binds": ["ownvol:/v"]}
        self._as_attacker("/volumes/create", {"Name": "ownvol"})
        self._as_attacker("/networks/create", {"Name": "ownnet"})
        self._as_attacker("/images/alpine/tag?repo=ownimg&tag=1")
        self._as_attacker("/containers/create?name=ownbox", sleeping | {"Image": "ownimg:1", "HostConfig": host})
        self._as_attacker("/containers/ownbox/start")
        self._as_attacker("/containers/create?name=ownstill", sleeping)
        made = [self._as_attacker("/containers/ownbox/exec", {"Cmd": ["true"]})["Id"] for _ in range(2)]
        return {
            "own": self._refs(["ownbox", "ownstill"], ["ownnet"], ["ownvol"], ["ownimg:1", "alpine"], made),
            "victim": self._refs([f"{MARK}-box", f"{MARK}-still"], [f"{MARK}-net"], [f"{MARK}-vol"], [f"{MARK}-img:1"], [self.victim_exec]),
            "host": self._refs(["hostbox"], ["bridge", "host", "none"], ["hostvol"], ["alpine", "mysql:latest"], []),
        }

    def _as_attacker(self, target: str, body: Any = None) -> Any:
        """Make one call that must succeed with the attacker's uid."""
        os.seteuid(self.attacker_uid)
        try:
            status, found = self.hostadmin.guard.call("POST", f"/v1.41{target}", body)
        finally:
            os.seteuid(0)
        assert status < 400, (target, status, found)
        return found

    def _refs(self, boxes: list[str], nets: list[str], vols: list[str], images: list[str], execs: list[str]) -> dict[str, list[str]]:
        return {
            "BOX": boxes,
            "BOXID": [self.eye.container(b)["Id"] for b in boxes],
            "NET": nets,
            "NETID": [self.eye.get(f"/networks/{n}")["Id"] for n in nets],
            "VOL": vols,
            "IMG": images,
            "IMGID": [self.eye.get(f"/images/{quote(i)}/json")["Id"] for i in images],
            "EXEC": execs,
        }

    def clear(self) -> None:
        """Take everything that is not of before from the engine, past the guard."""
        for ref in set(self.eye.containers()) - self.kept["containers"]:
            self.eye.call("DELETE", f"/containers/{ref}?force=1&v=1")
        for ref in set(self.eye.networks()) - self.kept["networks"]:
            self.eye.call("DELETE", f"/networks/{ref}")
        for name in self.eye.volumes() - self.kept["volumes"]:
            self.eye.call("DELETE", f"/volumes/{quote(name)}?force=1")
        for tag in set(self._tags()) - set(self.tags):
            self.eye.call("DELETE", f"/images/{quote(tag)}?force=1")
        for image in self.eye.get("/images/json?all=1"):
            if image["Id"] not in self.images:
                self.eye.call("DELETE", f"/images/{image['Id']}?force=1")
        until("the ledger has seen that they are gone", lambda: not self._ledger_only("container"), 30)

    def _ledger_only(self, kind: str) -> set[str]:
        rows = self.hostadmin.rows("select ref from objects where kind = ? and gone_at is null and attribution != 'engine'", kind)
        return {r[0] for r in rows} - self.kept["containers"]

    def _canaries(self) -> list[bytes]:
        """Return what must never come back to the attacker."""
        refs = self._refs([f"{HUSH}-box"], [f"{HUSH}-net"], [f"{HUSH}-vol"], [], [])
        return [SECRET.encode(), HUSH.encode(), *(text[:12].encode() for key in ("BOXID", "NETID") for text in refs[key])]

    # -- what is looked at -------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Return everything of the victim's and of the host's that must stay as it is."""
        boxes = {ref: _steady(self.eye.container(ref)) for ref in self.kept["containers"]}
        changes = {ref: self.eye.get(f"/containers/{ref}/changes") for ref in self.kept["containers"]}
        networks = {ref: self.eye.get(f"/networks/{ref}") for ref in self.kept["networks"]}
        volumes = {
            v: self.eye.get(f"/volumes/{v}") | {"files": _files(Path(f"/mnt/docker/data/volumes/{v}/_data"))} for v in self.kept["volumes"]
        }
        images = {tag: ref for tag, ref in self._tags().items() if tag in self.tags}
        known = {i["Id"] for i in self.eye.get("/images/json?all=1")} & self.images
        return {
            "containers": boxes,
            "changes": changes,
            "networks": networks,
            "volumes": volumes,
            "tags": images,
            "images": sorted(known),
            "host": self._host(),
        }

    def _host(self) -> dict[str, Any]:
        mounts = sorted(line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
        return {"files": _files(Path("/mnt/etc.up")), "mounts": [m for m in mounts if not m.startswith(("/mnt/docker", "/run/docker"))]}

    def _tags(self) -> dict[str, str]:
        return {t: i["Id"] for i in self.eye.get("/images/json") for t in i["RepoTags"] or [] if t != "<none>:<none>"}

    def owned(self) -> oracle.Owned:
        """Return what the ledger says of whose things are whose."""
        rows = self.hostadmin.rows("select kind, ref, owner_id from objects where gone_at is null")
        by_kind: dict[str, dict[str, Any]] = {kind: {r: o for k, r, o in rows if k == kind} for kind in ("container", "network", "volume")}
        private = {self.tags[f"{MARK}-img:1"]}
        names = {n["Id"]: n["Name"] for n in self.eye.get("/networks")}
        parents = re.escape(f"{os.environ['DHOST_CGROUP']}/hostadmin/u{self.attacker_uid}")
        return oracle.Owned(self.attacker_id, by_kind["container"], by_kind["network"], by_kind["volume"], names, private, parents)

    def violations(self) -> list[str]:
        """Return all that is wrong with engine and host now."""
        until("no intent is open", lambda: not self.hostadmin.rows("select * from audit_open"), 60)
        owned = self.owned()
        found = oracle.differences(self.before, self.snapshot())
        for ref in set(self.eye.containers()) - self.kept["containers"]:
            box = self._look(f"/containers/{ref}/json")
            if box is not None:
                found += oracle.judge_container(box, owned) + self._judge_running(box) + self._judge_execs(box)
        for ref in set(self.eye.networks()) - self.kept["networks"]:
            found += oracle.judge_network(self._look(f"/networks/{ref}"), owned)
        for name in self.eye.volumes() - self.kept["volumes"]:
            found += oracle.judge_volume(self._look(f"/volumes/{quote(name)}"), owned)
        return found + self._judge_images() + self._judge_guard()

    def _look(self, target: str) -> Any:
        status, found = self.eye.call("GET", target)
        return found if status == 200 else None

    def _judge_running(self, box: dict[str, Any]) -> list[str]:
        pid = box["State"]["Pid"]
        if not pid:
            return []
        with suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            joined = {"pid": "PidMode", "net": "NetworkMode", "ipc": "IpcMode"}
            wanted = [n for n in NAMESPACES if n not in joined or not box["HostConfig"][joined[n]].startswith("container:")]
            links = {n: os.readlink(f"/proc/{pid}/ns/{n}") for n in wanted}
            return [
                f"container {box['Name']}: {text}"
                for text in oracle.judge_process(status, links, {n: os.readlink(f"/proc/self/ns/{n}") for n in wanted})
            ]
        return []

    def _judge_execs(self, box: dict[str, Any]) -> list[str]:
        execs = [self._look(f"/exec/{ref}/json") for ref in box.get("ExecIDs") or []]
        return [f"exec {e['ID']} is privileged" for e in execs if e and (e["ProcessConfig"] or {}).get("privileged")]

    def _judge_images(self) -> list[str]:
        owners = dict(self.hostadmin.rows("select tag, owner_id from image_tags"))
        found = [
            f"tag {t} of {owners.get(_normal(t))!r}"
            for t in set(self._tags()) - set(self.tags)
            if owners.get(_normal(t)) != self.attacker_id
        ]
        for image in self.eye.get("/images/json?all=1"):
            reserved = [k for k, v in (image.get("Labels") or {}).items() if k.startswith("io.hostadmin.") and v]
            found += [f"image {image['Id']} has label {k}" for k in reserved if image["Id"] not in self.images]
        return found

    def _judge_guard(self) -> list[str]:
        pid = self.hostadmin.part("guard")
        found = [] if pid == self.guard else [f"the guard was {self.guard} and is {pid}"]
        text = self.hostadmin.log.read_text(errors="replace")
        if "Traceback" in text:
            found.append(f"the log of hostadmin: {text[-2500:]}")
            self.hostadmin.log.write_text("")
        if pid:
            fds = len(os.listdir(f"/proc/{pid}/fd"))
            memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
            found += [f"the guard has {fds} descriptors"] if fds > FDS_LIMIT else []
            found += [f"the guard has {memory >> 20} MB"] if memory > MEMORY_LIMIT else []
        return found


def _normal(tag: str) -> str:
    first = tag.split("/", maxsplit=1)[0]
    if "/" not in tag:
        return f"docker.io/library/{tag}"
    return tag if "." in first or ":" in first or first == "localhost" else f"docker.io/{tag}"


def _steady(found: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in found.items() if not VOLATILE.fullmatch(k)}


def _files(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in sorted(root.rglob("*")):
        with suppress(OSError):
            found[str(entry)] = f"{entry.lstat().st_mode:o} " + (sha256(entry.read_bytes()).hexdigest() if entry.is_file() else "")
    return found
