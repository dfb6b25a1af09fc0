"""Bodies flow to their end, whatever the split; ends, losses and back-pressure arrive where they belong."""

import asyncio

import pytest
from hypothesis import given, settings, strategies as st

from hostadmin.guard.channel import HIGH, Channel, Gone
from hostadmin.guard.flows import Body, Flow, splice
from hostadmin.guard.refusal import Refusal


class Transport:
    """Remembers what was done with it."""

    def __init__(self):
        self.sent, self.paused, self.closed, self.eof, self.aborted = b"", False, False, False, False

    def write(self, data):
        self.sent += data

    def writelines(self, parts):
        self.sent += b"".join(parts)

    def write_eof(self):
        self.eof = True

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = self.closed = True

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False


def channel():
    made = Channel()
    made.connection_made(Transport())
    return made


def split(data, step):
    return [data[i : i + step] for i in range(0, len(data), step)]


def chunked(parts):
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


PARTS = st.lists(st.binary(min_size=1, max_size=30), max_size=5)


@settings(max_examples=60)
@given(PARTS, st.integers(1, 9), st.integers(0, 3), st.booleans())
def test_a_chunked_body_flows_whole_and_what_follows_waits(parts, step, before, again):
    async def check():
        source, sink = channel(), channel()
        blocks = split(chunked(parts) + b"NEXT", step)
        for block in blocks[:before]:
            source.data_received(block)
        flow = asyncio.create_task(Flow(Body(source, None, chunked=True), sink, chunked=again).run())
        await asyncio.sleep(0)
        for block in blocks[before:]:
            source.data_received(block)
        await asyncio.wait_for(flow, 1)
        got = sink.transport.sent
        if again:
            pieces, rest = Body(source, None, chunked=True).take(got + b"0\r\n\r\n")
            got = b"".join(pieces)
            assert rest == b""
        assert got == b"".join(parts)
        assert source.outlet is None
        assert sink.inlet is None
        assert b"".join(iter(source.take_block, b"")) == b"NEXT"

    asyncio.run(check())


@settings(max_examples=40)
@given(st.binary(max_size=40), st.integers(1, 9))
def test_a_body_with_a_length_ends_there(data, step):
    async def check():
        source, sink = channel(), channel()
        for block in split(data + b"NEXT", step):
            source.data_received(block)
        await Flow(Body(source, len(data), chunked=False), sink, chunked=False).run()
        assert sink.transport.sent == data
        assert b"".join(iter(source.take_block, b"")) == b"NEXT"

    asyncio.run(check())


def test_a_body_until_eof_ends_with_the_connection():
    async def check():
        source, sink = channel(), channel()
        flow = asyncio.create_task(Flow(Body(source, None, chunked=False, until_eof=True), sink, chunked=False).run())
        await asyncio.sleep(0)
        source.data_received(b"all of it")
        source.eof_received()
        await flow
        assert sink.transport.sent == b"all of it"

    asyncio.run(check())


@pytest.mark.parametrize("end", ["eof", "lost", "sink lost", "malformed"])
def test_what_is_cut_off_is_never_an_end(end):
    async def check():
        source, sink = channel(), channel()
        flow = asyncio.create_task(Flow(Body(source, None, chunked=True), sink, chunked=True).run())
        await asyncio.sleep(0)
        source.data_received(b"5\r\nhel")
        if end == "eof":
            source.eof_received()
        elif end == "lost":
            source.connection_lost(None)
        elif end == "sink lost":
            sink.connection_lost(None)
        else:
            source.data_received(b"loX\r\n")
        with pytest.raises(Gone):
            await asyncio.wait_for(flow, 1)
        assert b"0\r\n\r\n" not in sink.transport.sent

    asyncio.run(check())


def test_a_slow_sink_pauses_its_source_and_nothing_else():
    async def check():
        source, sink = channel(), channel()
        sink.pause_writing()
        flow = asyncio.create_task(Flow(Body(source, 10, chunked=False), sink, chunked=False).run())
        await asyncio.sleep(0)
        assert source.transport.paused
        sink.resume_writing()
        assert not source.transport.paused
        source.data_received(b"0123456789")
        await flow

    asyncio.run(check())


def test_what_nobody_reads_pauses_the_peer():
    async def check():
        source = channel()
        source.data_received(b"x" * (HIGH + 1))
        assert source.transport.paused
        assert len(await source.read()) == HIGH + 1
        assert not source.transport.paused

    asyncio.run(check())


def test_a_splice_passes_each_end_on_and_closes_after_both():
    async def check():
        one, other = channel(), channel()
        one.data_received(b"early")
        splice(one, other)
        assert other.transport.sent == b"early"
        one.data_received(b" late")
        one.eof_received()
        assert other.transport.sent == b"early late"
        assert other.transport.eof
        assert not other.transport.closed
        other.data_received(b"answer")
        other.eof_received()
        assert one.transport.sent == b"answer"
        assert one.transport.closed
        assert other.transport.closed

    asyncio.run(check())


@pytest.mark.parametrize("half_closed", [False, True])
def test_a_lost_side_of_a_splice_closes_the_other(half_closed):
    async def check():
        one, other = channel(), channel()
        splice(one, other)
        if half_closed:
            one.eof_received()
        one.connection_lost(None)
        assert other.transport.closed

    asyncio.run(check())


def test_a_splice_of_what_has_ended_already_ends():
    async def check():
        one, other = channel(), channel()
        other.eof_received()
        splice(one, other)
        assert one.transport.eof

    asyncio.run(check())


def test_a_body_above_its_limit_is_refused():
    async def check():
        source = channel()
        source.data_received(b"x" * 11)
        with pytest.raises(Refusal) as refused:
            await Body(source, 11, chunked=False).read_all(10)
        assert refused.value.status == 413

    asyncio.run(check())


def test_heads_are_found_whatever_the_split():
    async def check(step):
        source = channel()
        reading = asyncio.create_task(source.read_head())
        for block in split(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nBODY", step):
            source.data_received(block)
            await asyncio.sleep(0)
        assert await reading == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        assert b"".join(iter(source.take_block, b"")) == b"BODY"

    for step in range(1, 34):
        asyncio.run(check(step))
