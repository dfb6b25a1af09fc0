"""Compression is taken off on the way in: whole, bounded, and so that an engine finds none of its own."""

import asyncio
import bz2
import gzip
import lzma

import pytest

from hostadmin.guard.rules import uploads
from hostadmin.guard.rules.tarstream import TarRefused

PLAIN = bytes(range(256)) * 9000
COMPRESS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


class Sender:
    """A caller that sends bytes in pieces; it has no profile."""

    def __init__(self, data, piece):
        self.data, self.piece, self.caller, self.guard = data, piece, Anybody(), Anybody()

    async def read_stream(self):
        for start in range(0, len(self.data), self.piece):
            yield self.data[start : start + self.piece]


class Anybody:
    profile = None
    owner = "somebody"

    def __init__(self):
        self.uploading = {"somebody": 0}


def read(data, piece=10_000):
    async def collect():
        return [part async for part in uploads.read(Sender(data, piece))]

    return asyncio.run(collect())


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_what_is_plain_passes_as_it_is(piece):
    assert b"".join(read(b"abc" * 100, piece)) == b"abc" * 100


@pytest.mark.parametrize("name", COMPRESS)
@pytest.mark.parametrize("piece", [3, 4096, 10_000_000])
def test_every_kind_in_pieces_of_any_size(name, piece):
    packed = COMPRESS[name](PLAIN)
    assert b"".join(read(packed, max(piece, len(packed) // 500))) == PLAIN


@pytest.mark.parametrize("name", COMPRESS)
def test_several_streams_after_one_another(name):
    pack = COMPRESS[name]
    assert b"".join(read(pack(b"one") + pack(b"two") + bytes(512))) == b"onetwo"


@pytest.mark.parametrize("name", COMPRESS)
def test_a_bomb_comes_in_bounded_pieces(name):
    parts = read(COMPRESS[name](bytes(30_000_000)))
    assert sum(map(len, parts)) == 30_000_000
    assert max(map(len, parts)) <= uploads.PIECE


@pytest.mark.parametrize("name", COMPRESS)
def test_cut_off_damaged_or_packed_twice_is_refused(name):
    packed = COMPRESS[name](PLAIN)
    for bad in (
        packed[: len(packed) // 2],
        packed[:40] + b"damaged!" + packed[48:],
        COMPRESS[name](packed),
        COMPRESS[name](gzip.compress(PLAIN)),
    ):
        with pytest.raises(TarRefused):
            read(bad)


@pytest.mark.parametrize("start", [b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"\x5f\x2a\x4d\x18"])
def test_what_the_engine_would_unpack_itself_is_refused(start):
    for data in (start + bytes(100), gzip.compress(start + bytes(100))):
        with pytest.raises(TarRefused):
            read(data)
