"""`hostadmin doctor --class`: what it takes, prints and answers, with and without a ledger."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from hostadmin.cli.doctor import _show_forecast
from hostadmin.cli.root import root
from hostadmin.doctor.finding import Forecast, Remedy
from hostadmin.doctor.table import ROWS


@pytest.fixture
def doctor(tmp_path, monkeypatch):
    """Run it for a host where nothing of hostadmin runs and no engine answers."""
    config = tmp_path / "hostadmin.toml"
    config.write_text(
        f'[engine]\nsocket = "{tmp_path}/engine"\n[api]\nsocket = "{tmp_path}/api"\n[store]\nurl = "sqlite:///{tmp_path}/h.db"\n'
    )
    monkeypatch.delenv("HOSTADMIN_CONFIG", raising=False)
    return lambda *argv: CliRunner().invoke(root, ["--config", str(config), "doctor", *argv])


@pytest.mark.parametrize("people", ["0", "-1", "5001", "", "x", "3.5", "30 people"])
def test_other_than_one_to_five_thousand_is_a_usage_error(doctor, people):
    done = doctor("--class", people)
    assert done.exit_code == 2
    assert "--class" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("people", ["1", "5000"])
def test_everything_has_its_line_and_what_fails_fails(doctor, people):
    done = doctor("--class", people)
    assert done.exit_code == 1, "no engine"
    for row in ROWS:
        assert f" {row.subject} " in done.output, row.subject
    assert "fail  engine             It does not answer" in done.output


def test_json_says_the_same(doctor):
    done = doctor("--class", "30", "--json")
    assert done.exit_code == 1
    told = {f["subject"]: f for f in json.loads(done.output)}
    assert set(told) == {row.subject for row in ROWS} | {"engine"}
    assert {frozenset(f) for f in told.values()} == {
        frozenset({*("level", "subject", "need", "most", "have", "unit", "advice", "file", "lines")})
    }
    assert told["connections"] | {"advice": ""} == {
        "level": "ok",
        "subject": "connections",
        "need": 300,
        "most": None,
        "have": 16384,
        "unit": "",
        "advice": "",
        "file": "",
        "lines": [],
    }


def test_without_a_class_it_is_as_it_was(doctor):
    done = doctor()
    assert done.exit_code == 1
    assert "fail  guard" in done.output
    assert "address pools" in done.output
    assert "inotify" not in done.output


FORECAST = Forecast("warn", "memory", 8e9, 129e9, 25.3e9, "bytes", Remedy("Why.", "/etc/x", ("[student]", "memory = 1")))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {},
            (
                "warn  memory             need 8GB (up to 129GB by the profile), have 25.3GB\n"
                "      put into /etc/x:\n          [student]\n          memory = 1\n      Why.\n"
            ),
        ),
        (
            {"most": float("inf"), "have": 3.5, "need": 0.1, "unit": "cpus", "remedy": Remedy("Slow.")},
            "warn  memory             need 0.1 (up to no limit by the profile), have 3.5 cpus\n      Slow.\n",
        ),
        ({"need": None, "remedy": Remedy("Note.")}, "warn  memory             Note.\n"),
        ({"most": None, "have": None, "remedy": Remedy("Cannot.")}, "warn  memory             need 8GB, have unknown\n      Cannot.\n"),
    ],
)
def test_how_a_forecast_reads(capsys, change, text):
    _show_forecast(replace(FORECAST, **change))
    assert capsys.readouterr().out == text
