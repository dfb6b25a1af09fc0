"""``python -m tests.fuzz.record FILE``: write down what docker CLIs, compose and docker-py send for ordinary work.

Runs as root inside ``tests/disposable/dhost``, on the bare engine. Live ids and names become placeholders
(``tests.fuzz.corpus``), equal requests are kept once, and the result is one JSON object a line.
"""

import base64
import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any, Final

from tests.fuzz.flows import CLI_FLOW, COMPOSE, DOCKERFILE, SDK_FLOW, TINY
from tests.fuzz.relay import Relay
from tests.integration.people import command_lines
from tests.integration.stage import ENGINE_SOCKET, Engine, clear
from tests.integration.classimages import make_images

DOOR: Final = "/run/recorded.sock"
PLACE: Final = Path("/home/recorder")
FULL: Final = r"[0-9a-f]{64}"
# First match wins; ``rec...`` and ``new...`` are the names that the flows use.
PLACEHOLDERS: Final = (
    (rf"(?<=/exec/){FULL}", "@EXEC@"),
    (rf"(?<=/networks/){FULL}", "@NETID@"),
    (rf"(?<=/volumes/){FULL}", "@VOL@"),
    (rf"(sha256(:|%3A)){FULL}", "@IMGID@"),
    (FULL, "@BOXID@"),
    (r"(?<=/containers/)[0-9a-f]{12}(?=[/?])", "@BOXID@"),
    (r"(docker\.io/library/)?recimg(:1)?", "@IMG@"),
    (r"(?<=/images/)[0-9a-f]{12}(?=[/?])", "@IMGID@"),
    (r"recbox2?", "@BOX@"),
    (r"recnet|(?<=/networks/)rec_inner", "@NET@"),
    (r"recvol|(?<=/volumes/)rec_data", "@VOL@"),
    (r"(docker\.io/library/)?newimg", "@NEWIMG@"),
    (r"newbox\d?|(?<=name=)rec_\w+_1", "@NEWBOX@"),
    (r"newnet|rec_inner", "@NEWNET@"),
    (r"newvol|rec_data", "@NEWVOL@"),
)


def run(argv: list[str], *, stdin: bytes = b"", environ: dict[str, str] | None = None) -> None:
    """Run one client against the relay; its success is not asked for, what it sent counts."""
    base = {"DOCKER_HOST": f"unix://{DOOR}", "HOME": str(PLACE), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    call = ["timeout", "-k", "1", "15", *argv]
    done = subprocess.run(call, input=stdin, capture_output=True, env=base | (environ or {}), cwd=PLACE, check=False)
    if done.returncode:
        print(f"  {' '.join(argv)[:150]}: {done.stderr.decode(errors='replace').strip()[-200:]}", file=sys.stderr)


def prepare(engine: Engine) -> None:
    """Make what the flows refer to, and nothing else."""
    clear(engine.eye)
    command = ["docker", "-H", f"unix://{engine.path}"]
    for argv in (
        ["network", "create", "recnet"],
        ["volume", "create", "recvol"],
        ["tag", "alpine", "recimg:1"],
        ["run", "-dit", "--name", "recbox", "-v", "recvol:/data", "--network", "recnet", "recimg:1"],
        ["run", "-d", "--name", "recbox2", "recimg:1", "sleep", "1000"],
    ):
        subprocess.run([*command, *argv], check=True, capture_output=True)


def with_placeholders(text: str) -> str:
    """Replace the recording's ids and names by placeholders."""
    for pattern, placeholder in PLACEHOLDERS:
        text = re.sub(pattern, placeholder, text)
    return text


def clean(request: dict[str, Any], client: str) -> dict[str, Any]:
    """Return a recorded request as a line of the corpus."""
    body: bytes = request["body"]
    try:
        kept: dict[str, str] = {"text": with_placeholders(body.decode("utf-8"))}
    except UnicodeDecodeError:
        kept = {"packed": base64.b64encode(zlib.compress(body, 9)).decode()}
    if "\0" in kept.get("text", ""):
        kept = {"packed": base64.b64encode(zlib.compress(body, 9)).decode()}
    return {
        "client": client,
        "method": request["method"],
        "target": with_placeholders(request["target"]),
        "fields": request["fields"],
        "chunked": request["chunked"],
        **(kept if body else {}),
    }


def record(client: str, relay: Relay, into: dict[str, dict[str, Any]]) -> None:
    """Keep what a client has just sent, each distinct request once."""
    for request in relay.take():
        line = clean(request, client)
        key = json.dumps({k: v for k, v in line.items() if k not in ("client", "fields")})
        into.setdefault(re.sub(r"/v1\.\d+/", "/", key), line)


def play(engine: Engine, relay: Relay, into: dict[str, dict[str, Any]]) -> None:
    """Let each client do its flow, each on an engine that has only what it refers to."""
    for cli in command_lines():
        prepare(engine)
        client = subprocess.run([cli, "--version"], capture_output=True, text=True, check=True).stdout.split()[2].rstrip(",")
        for step in CLI_FLOW:
            argv, stdin = (step, b"") if isinstance(step, list) else step
            run([cli, *argv], stdin=stdin, environ={"DOCKER_BUILDKIT": "0"})
            record(f"docker {client}", relay, into)
    prepare(engine)
    run(["/usr/bin/python3", "-"], stdin=SDK_FLOW.encode())
    record("docker-py", relay, into)
    for argv in (
        ["up", "-d"],
        ["ps"],
        ["logs"],
        ["exec", "-T", "web", "true"],
        ["restart"],
        ["up", "-d", "--force-recreate"],
        ["down", "-v"],
    ):
        run(["docker-compose", "-p", "rec", *argv])
        record("docker-compose", relay, into)


def main() -> None:
    """Record everything into the file that is named."""
    out = Path(sys.argv[1]).resolve()
    PLACE.mkdir()
    os.chdir(PLACE)
    Path("context").mkdir()
    Path("context/Dockerfile").write_text(DOCKERFILE)
    Path("context/file.txt").write_text("a file\n")
    Path("docker-compose.yml").write_text(COMPOSE)
    Path("file.txt").write_text("a file\n")
    Path("tiny.tar").write_bytes(TINY())
    engine = Engine()
    engine.start()
    try:
        make_images(ENGINE_SOCKET)
        relay = Relay(DOOR, ENGINE_SOCKET)
        found: dict[str, dict[str, Any]] = {}
        play(engine, relay, found)
        lines = sorted(found.values(), key=lambda line: (line["target"].partition("?")[0], line["method"], line["client"]))
        out.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))
        print(f"{len(lines)} requests")
    finally:
        clear(engine.eye)
        engine.stop()


if __name__ == "__main__":
    main()
