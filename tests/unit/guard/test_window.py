"""The version window: what the guard and the engine both speak, told in the engine's own words."""

import asyncio

import pytest

from tests.unit.guard.standin import StandIn, guarded, shared_database


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    yield from shared_database(tmp_path_factory.mktemp("guard"))


def run(database, engine, talk, **more):
    async def main():
        async with guarded(database, engine, **more) as connect:
            return await talk(connect)

    return asyncio.run(main())


async def ask(connect, *targets):
    client = await connect()
    return [await client.call("GET", target) for target in targets]


TOO_NEW = "client version {} is too new. Maximum supported API version is {}"
TOO_OLD = "client version {} is too old. Minimum supported API version is {}, please upgrade your client to a newer version"


@pytest.mark.parametrize(
    ("engine", "newest", "oldest"),
    [
        (("1.41", "1.12"), "1.41", "1.41"),
        (("1.51", "1.24"), "1.51", "1.41"),
        (("1.52", "1.44"), "1.52", "1.44"),
        (("1.55", "1.40"), "1.55", "1.41"),
        (("1.60", "1.50"), "1.55", "1.50"),
    ],
)
@pytest.mark.parametrize("admin", [False, True])
def test_the_window_is_what_both_speak(database, engine, newest, oldest, admin):
    async def talk(connect):
        client = await connect()
        _, version = await client.call("GET", "/version")
        assert (version["ApiVersion"], version["MinAPIVersion"]) == (newest, oldest)
        below, above = f"1.{int(oldest[2:]) - 1}", f"1.{int(newest[2:]) + 1}"
        for target, expected in (
            (f"/v{newest}/volumes", 200),
            (f"/v{oldest}/volumes", 200),
            ("/volumes", 200),
            (f"/v{below}/volumes", TOO_OLD.format(below, oldest)),
            (f"/v{below}/_ping", TOO_OLD.format(below, oldest)),
            (f"/v{above}/volumes", TOO_NEW.format(above, newest)),
            (f"/v{above}/version", TOO_NEW.format(above, newest)),
            ("/v9.9/volumes", TOO_NEW.format("9.9", newest)),
            ("/v1.24/volumes", TOO_OLD.format("1.24", oldest)),
        ):
            status, value = await (await connect()).call("GET", target)
            assert expected in (status, value.get("message")), (target, status, value)
            assert status == 200 or (status, expected) == (400, value["message"])

    stand_in = StandIn(*engine)
    run(database, stand_in, talk, admin=admin)
    asked = {r.target for r in stand_in.requests} - {"/version"}
    assert asked == {f"/v{newest}/volumes", f"/v{oldest}/volumes"}


def test_an_engine_that_was_upgraded_is_asked_again(database):
    engine = StandIn("1.41", "1.12")

    async def talk(connect):
        client = await connect()
        assert (await client.call("GET", "/v1.52/volumes"))[1]["message"] == TOO_NEW.format("1.52", "1.41")
        engine.newest, engine.oldest = "1.52", "1.44"
        engine.answers["GET", "/version"] = (200, {"ApiVersion": "1.52", "MinAPIVersion": "1.44"})
        client = await connect()
        await client.call("GET", "/_ping")
        assert (await client.call("GET", "/v1.52/volumes"))[0] == 200
        assert (await client.call("GET", "/v1.43/volumes"))[1]["message"] == TOO_OLD.format("1.43", "1.44")

    run(database, engine, talk)


def test_an_operation_needs_the_version_that_brought_it(database):
    async def talk(connect):
        client = await connect()
        status, value = await client.call("GET", "/v1.54/images/img/attestations")
        assert (status, value["message"]) == (400, "GET /images/{name}/attestations requires minimum API version 1.55")
        client = await connect()
        assert (await client.call("GET", "/v1.55/images/img/attestations?type=a&type=b&statement=true"))[0] == 200

    engine = StandIn("1.55", "1.40")
    run(database, engine, talk)
    assert engine.requests[-1].target.endswith("/attestations?type=a&type=b&statement=1")
    assert engine.requests[-1].target.startswith("/v1.55/images/sha256:")
