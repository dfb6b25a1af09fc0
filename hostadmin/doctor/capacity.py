"""What a host would run out of with a class of so many people: from facts to forecasts by the table. Pure."""

from hostadmin.doctor import remedies
from hostadmin.doctor.facts import Facts, Group, Shortage
from hostadmin.doctor.finding import FAIL, OK, WARN, Forecast, Remedy
from hostadmin.doctor.table import ROWS, Row


def judge(facts: Facts, group: Group) -> list[Forecast]:
    """Return a forecast for everything that a class takes, in the order of the table, then what is to be said of the engine."""
    return [*(_forecast(row, facts, group) for row in ROWS), *_engine(facts)]


def _forecast(row: Row, facts: Facts, group: Group) -> Forecast:
    need, most = row.need(group), row.most(group) if row.most else None
    have = row.have(facts, group)
    if have is None:
        return Forecast(WARN, row.subject, need, most, None, row.unit, Remedy("Cannot be told on this host."))
    have = max(have, 0)
    level = _level(need, most, have, soft=row.soft)
    remedy = Remedy() if level == OK else row.mend(Shortage(group, facts, need, most, have))
    return Forecast(level, row.subject, need, most, have, row.unit, remedy)


def _level(need: float, most: float | None, have: float, *, soft: bool) -> str:
    if have < need:
        return WARN if soft else FAIL
    return WARN if most is not None and have < most else OK


def _engine(facts: Facts) -> list[Forecast]:
    """Say how the engine is set: what does not depend on how many people there are."""
    engine = facts.engine
    if engine is None:
        return [Forecast(FAIL, "engine", remedy=Remedy("It does not answer: start it, correct [engine] socket, or run doctor as root."))]
    bounded = engine.logs_bounded or engine.log_driver != "json-file"
    kept = engine.live_restore or engine.swarm  # a swarm's node cannot have it
    return [
        Forecast(OK, "log rotation") if bounded else Forecast(WARN, "log rotation", remedy=remedies.LOGS),
        Forecast(OK, "live restore") if kept else Forecast(WARN, "live restore", remedy=remedies.LIVE),
        Forecast(OK, "control groups", remedy=Remedy(f"Driver {engine.cgroup_driver}, version {engine.cgroup_version}.")),
    ]
