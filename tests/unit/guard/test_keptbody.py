"""Bodies that are read twice: the second time the same bytes, and then what had not come yet."""

import asyncio

import pytest

from hostadmin.guard.keptbody import KeptBody, WholeBody
from hostadmin.guard.refusal import Refusal


class Coming:
    """A body that comes in these pieces; an exception among them is raised."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    @property
    def done(self):
        return not self.pieces

    async def read(self):
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_read_again_from_the_beginning(taken):
    async def read():
        with KeptBody(Coming(b"one", b"two", b"x" * 3_000_000)) as body:
            for _ in range(taken):
                await body.read()
            body.rewind()
            again = await body.read_all(10_000_000)
            assert body.done
            return again

    assert asyncio.run(read()) == b"onetwo" + b"x" * 3_000_000


def test_what_was_cut_off_is_broken():
    async def read():
        with KeptBody(Coming(b"one", ValueError("cut"))) as body:
            await body.read()
            assert not body.broken
            with pytest.raises(ValueError, match="cut"):
                await body.read()
            return body.broken

    assert asyncio.run(read())


def test_limits_hold():
    with pytest.raises(Refusal) as refused, KeptBody(Coming(b"12345")) as body:
        asyncio.run(body.read_all(4))
    assert refused.value.status == 413
    with pytest.raises(Refusal):
        asyncio.run(WholeBody(b"12345").read_all(4))
    assert asyncio.run(WholeBody(b"").read_all(4)) == b""
