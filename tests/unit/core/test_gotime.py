"""Times as Go reads them: the examples of moby's ``timestamp_test.go``, and what it refuses."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hostadmin.core.gotime import parse_time

NOW = datetime(2026, 8, 1, 12, 0, 0, tzinfo=UTC)
EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1h", datetime(2026, 8, 1, 11, tzinfo=UTC)),
        ("1h30m", datetime(2026, 8, 1, 10, 30, tzinfo=UTC)),
        ("1.5s", datetime(2026, 8, 1, 11, 59, 58, 500000, tzinfo=UTC)),
        (".5h", datetime(2026, 8, 1, 11, 30, tzinfo=UTC)),
        ("-1h", datetime(2026, 8, 1, 13, tzinfo=UTC)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1136073600", datetime(2006, 1, 1, tzinfo=UTC)),
        ("1136073600.000000001", datetime(2006, 1, 1, tzinfo=UTC)),
        ("1136073600.5", datetime(2006, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)),
        ("2006-01-02", datetime(2006, 1, 1, 22, tzinfo=UTC)),
        ("2006-01-02T15", datetime(2006, 1, 2, 13, tzinfo=UTC)),
        ("2006-01-02T15:04", datetime(2006, 1, 2, 13, 4, tzinfo=UTC)),
        ("2006-01-02T15:04:05", datetime(2006, 1, 2, 13, 4, 5, tzinfo=UTC)),
        ("2006-01-02T15:04:05.999999999", datetime(2006, 1, 2, 13, 4, 5, 999999, tzinfo=UTC)),
        ("2006-01-02Z", datetime(2006, 1, 2, tzinfo=UTC)),
        ("2006-01-02+01:00", datetime(2006, 1, 1, 23, tzinfo=UTC)),
        ("2006-01-02T15:04Z", datetime(2006, 1, 2, 15, 4, tzinfo=UTC)),
        ("2006-01-02T15:04:05-07:00", datetime(2006, 1, 2, 22, 4, 5, tzinfo=UTC)),
        ("2006-01-02T15:04:05.5Z", datetime(2006, 1, 2, 15, 4, 5, 500000, tzinfo=UTC)),
    ],
)
def test_what_go_reads(text, moment):
    assert parse_time(text, NOW, EAST) == moment


@pytest.mark.parametrize(
    "text", ["", " ", "yesterday", "1", "10 m", "h", "1d", "-1", "2006-13-01", "2006-1-2", "99999999999999", "1e9h", "9" * 400 + "h"]
)
def test_what_is_no_time(text):
    if text == "1":
        assert parse_time(text, NOW) == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)  # a number alone is seconds
    else:
        with pytest.raises(ValueError, match="parse|range|month"):
            parse_time(text, NOW)
