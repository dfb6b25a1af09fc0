"""What the guard understood is what the engine understood, for every input it lets through.

Every input goes two ways to one real engine: through the guard's own code, and as it is, past the guard. What comes
out of both must mean the same; where it may not, and why, is the table in ``tests.differential.design``.
"""

import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote

import pytest

from hostadmin.guard import exchange, kinds, target
from hostadmin.guard.query import build_filters
from hostadmin.guard.rules import containers, networks
from tests.differential import bodies, targets, written
from tests.differential.play import Play
from tests.differential.targets import Request
from tests.differential.through import Through
from tests.differential.world import World
from tests.integration.classimages import make_images
from tests.integration.stage import Engine, clear, require_disposable_host, sweep

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
SEED = 20260726
INPUTS: dict[str, tuple[Callable[[], list[Request]], int, int]] = {
    "paths and queries that read": (lambda: targets.reads(SEED), 2400, 1250),
    "paths and queries that change": (lambda: targets.changes(SEED), 230, 120),
    "headers, framing and JSON, byte for byte": (written.written, 100, 50),
    "containers": (lambda: bodies.containers(SEED, 80), 600, 400),
    "networks, volumes, processes, updates, connections": (lambda: bodies.others(SEED), 350, 240),
}
"""What it is → the inputs; how many there are and how many the guard lets through, at least."""


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """An engine with the objects of one student, and the guard's code in front of it."""
    require_disposable_host()
    sweep()
    engine = Engine()
    engine.start()
    try:
        make_images(engine.path)
        through = Through(tmp_path_factory.mktemp("ledger"), engine.path, engine.eye.get("/version"))
        yield Play(World(engine, through), through)
        through.close()
    finally:
        clear(engine.eye)
        engine.stop()


def played(play: Play, requests: list[Request]) -> tuple[dict[str, int], list[str]]:
    """Play requests; return what was counted and what was found, and forget both."""
    play.run(requests)
    counts, reports = dict(play.counts), play.reports
    play.counts.clear()
    play.reports = []
    return counts, reports


@pytest.mark.parametrize(("draw", "generated", "through"), INPUTS.values(), ids=INPUTS.keys())
def test_what_the_guard_understood_is_what_the_engine_understood(play, draw, generated, through):
    counts, reports = played(play, draw())
    print(counts)
    assert not reports, f"{len(reports)} differences:\n" + "\n".join(reports)
    assert counts["generated"] >= generated
    assert counts["compared"] == counts["let through"] >= through, "too little came through for this to say anything"


def _without_empty_filters(filters):
    return build_filters({key: values for key, values in filters.items() if values}) if any(filters.values()) else []


DEVIATIONS = {
    "one word more is false": (kinds, "FALSE", (*kinds.FALSE, "off"), Request("GET", "/containers/json?all=off")),
    "case counts in booleans": (kinds, "FALSE", ("", "0", "none"), Request("GET", "/containers/json?all=No")),
    "a plus is a plus": (
        target,
        "decode",
        lambda text, plus=False: unquote(text),
        Request("GET", "/containers/json?all=+false+"),
    ),
    "fractions of times are cut": (
        kinds,
        "_UNIX",
        re.compile(r"(0|[1-9][0-9]{0,11})(?:\.[0-9]*)?()"),
        Request("GET", "/containers/{STILL}/logs?stdout=1&until={T1}"),
    ),
    "empty filters are left out": (networks, "build_filters", _without_empty_filters, Request("GET", '/networks?filters={"type":[]}')),
    "a name in another case": (containers, "check_name", str.lower, Request("POST", "/containers/{IDLE}/rename?name=Other", "idle")),
    "another character in JSON": (
        exchange,
        "dump_json",
        lambda value, write=exchange.dump_json: write(value).replace(b"\\u00e4", b"\\u00e5"),
        bodies.request("/volumes/create", "volume", bodies.dump({"Name": "vv", "Labels": {"ä": "x"}})),
    ),
    "a member is lost": (
        exchange,
        "dump_json",
        lambda value, write=exchange.dump_json: write({k: v for k, v in value.items() if k != "Tty"}),
        bodies.request("/containers/create", "container", bodies.dump({"Image": "alpine", "Tty": True})),
    ),
    "another number": (
        exchange,
        "dump_json",
        lambda value, write=exchange.dump_json: write(value).replace(b'"CpuShares":512', b'"CpuShares":51'),
        bodies.request("/containers/{IDLE}/update", "idle", bodies.dump({"CpuShares": 512})),
    ),
}


@pytest.mark.parametrize(("module", "name", "planted", "request_"), DEVIATIONS.values(), ids=DEVIATIONS.keys())
def test_a_planted_deviation_is_noticed(play, monkeypatch, module, name, planted, request_):
    counts, reports = played(play, [request_])
    assert (counts["compared"], reports) == (1, [])
    monkeypatch.setattr(module, name, planted)
    counts, reports = played(play, [request_])
    assert counts["compared"] == 1
    assert reports
