"""The generator against the guard's code with a scripted engine; ``python -m tests.fuzz.pure`` plays a million."""

import asyncio
import json

import pytest

from tests.fuzz.draft import Literal, Pairs, dump, load_corpus, parse
from tests.fuzz.generator import Generator
from tests.fuzz.promise import _owned, broken_promises, judge_request
from tests.fuzz.pure import play
from tests.fuzz.scripted import REFS, Forwarded, Pipeline

OWNER = "the-attacker"
BOX = {"Image": "alpine", "Labels": {"io.hostadmin.owner": OWNER}}


def test_no_mutated_request_breaks_a_promise(tmp_path):
    tally = asyncio.run(play("gate", 0, 2500, tmp_path))
    assert not tally.wrong, "\n".join(f"{index} {wrong}: {data!r}"[:1500] for index, data, wrong in tally.wrong[:5])
    assert tally.changes > 100
    assert len(tally.operations) > 20


def test_a_number_is_always_the_same_request():
    first, again = Generator("a"), Generator("a")
    forwards = [first.request(i, REFS)[1] for i in range(1000)]
    backwards = [again.request(i, REFS)[1] for i in reversed(range(1000))]
    assert forwards == backwards[::-1]
    assert first.request(7, REFS)[1] != Generator("b").request(7, REFS)[1]


def test_recorded_requests_come_through_as_their_owner(tmp_path):
    """The corpus is what clients send for ordinary work: the guard must read every one of it."""
    wire = [draft for draft in load_corpus() if not draft.path.startswith("/v1.41/build")]

    async def judged():
        pipeline = Pipeline(tmp_path)
        found = [(d, await pipeline.judge(d.render(lambda kind: (REFS["own"].get(kind) or [f"new{kind.lower()[3:]}"])[0]))) for d in wire]
        pipeline.close()
        return found

    found = asyncio.run(judged())
    malformed = {(d.operation, v.refusals[0].message) for d, v in found if v.refusals and v.refusals[0].status == 400}
    assert {operation for operation, _ in malformed} <= {"POST /images/@IMG@/push", "POST /networks/create"}, (
        malformed
    )  # a tag twice; macvlan
    assert not [v.failure for _, v in found if v.failure]


def test_json_is_written_as_drawn():
    text = '{"a":{"b":[1,null,"\\u00e9"]},"a":2}'
    assert dump(parse(text)) == '{"a":{"b":[1,null,"é"]},"a":2}'
    assert dump(Pairs([[Literal('"\\u0041"'), Literal("1e3")]])) == '{"\\u0041":1e3}'


BROKEN = [
    ("POST", "/v1.41/containers/create", {**BOX, "HostConfig": {"CgroupnsMode": "private", "Privileged": True}}),
    ("POST", "/v1.41/containers/create", {**BOX, "HostConfig": {"CgroupnsMode": "private", "Binds": ["/etc:/e"]}}),
    ("POST", "/v1.41/containers/create", {**BOX, "HostConfig": {"CgroupnsMode": "private", "Binds": ["v7k3q-vol:/v"]}}),
    (
        "POST",
        "/v1.41/containers/create",
        {**BOX, "HostConfig": {"CgroupnsMode": "private", "PidMode": "container:" + REFS["victim"]["BOXID"][0]}},
    ),
    ("POST", "/v1.41/containers/create", {**BOX, "HostConfig": {"CgroupnsMode": "private", "NetworkMode": REFS["victim"]["NETID"][0]}}),
    ("POST", "/v1.41/containers/create", {**BOX, "HostConfig": {"CgroupnsMode": "private", "MaskedPaths": []}}),
    ("POST", "/v1.41/containers/create", {**BOX, "HostConfig": {"CgroupnsMode": "private"}, "Unknown": 1}),
    ("POST", "/v1.41/containers/create", {"Image": "alpine", "Labels": {}, "HostConfig": {"CgroupnsMode": "private"}}),
    ("POST", "/v1.41/containers/" + REFS["own"]["BOXID"][0] + "/update", {"PidsLimit": -1}),
    ("POST", "/v1.41/containers/" + REFS["victim"]["BOXID"][0] + "/kill", None),
    ("POST", "/v1.41/networks/" + REFS["own"]["NETID"][0] + "/connect", {"Container": REFS["victim"]["BOXID"][0]}),
    ("POST", "/v1.41/volumes/create", {"DriverOpts": {"device": "/"}}),
    ("POST", "/v1.41/containers/prune", None),
    ("POST", "/v1.41/swarm/init", {}),
    ("GET", "/v1.41/containers/a b/json", None),
    ("GET", "/v1.52/containers/a/json", None),
    ("POST", "/v1.41/containers/create?checkpoint=x", {**BOX, "HostConfig": {"CgroupnsMode": "private"}}),
]


@pytest.mark.parametrize(("method", "target", "body"), BROKEN)
def test_the_promise_is_one_that_can_be_broken(method, target, body):
    request = Forwarded(method, target, b"" if body is None else json.dumps(body).encode())
    assert judge_request(request, REFS, _owned(REFS, OWNER))


def test_an_answer_with_the_victims_secret_is_seen(tmp_path):
    async def judged():
        pipeline = Pipeline(tmp_path)
        verdict = await pipeline.judge(b"GET /v1.41/containers/ownbox/json HTTP/1.1\r\nHost: a\r\n\r\n")
        pipeline.close()
        return verdict, pipeline.owner

    verdict, owner = asyncio.run(judged())
    assert not broken_promises(verdict, REFS, owner)
    verdict.answer += b"S3cr3tOfV1ct0r"
    assert broken_promises(verdict, REFS, owner)


FOUND: dict[str, tuple[bytes, int]] = {  # what the fuzzer has found, byte for byte, and the status that it gets now
    "a version without a page": (
        b"GET /v1.41?distribution/ownimg:1/json HTTP/1.1\r\nhost: docker\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        404,
    ),
    "a trailer after an image file": (
        b"POST /v1.41/images/load HTTP/1.1\r\nhost: docker\r\nTransfer-Encoding: chunked\r\n\r\n01\r\nx\r\n0\r\nX-A: b\r\n\r\n",
        400,
    ),
    "a malformed chunk where no body is": (
        b"GET /v1.41/info HTTP/1.1\r\nhost: docker\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n",
        400,
    ),
    "a bind without a source": (
        b'POST /v1.41/containers/create HTTP/1.1\r\nhost: docker\r\nContent-Length: 49\r\n\r\n{"Image":"alpine","HostConfig":{"Binds":[":/v"]}}',
        403,
    ),
}


@pytest.mark.parametrize(("data", "status"), FOUND.values(), ids=FOUND.keys())
def test_what_was_found_is_refused(tmp_path, data, status):
    async def judged():
        pipeline = Pipeline(tmp_path)
        verdict = await pipeline.judge(data)
        pipeline.close()
        return verdict

    verdict = asyncio.run(judged())
    assert not verdict.failure
    assert not verdict.changes
    assert [refusal.status for refusal in verdict.refusals] == [status]
