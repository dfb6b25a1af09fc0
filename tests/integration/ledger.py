"""Whether the ledger says what the engine says, and the audit explains it."""

from tests.integration.stage import Engine, Hostadmin, until


def engine_state(engine: Engine) -> dict[str, set[str]]:
    """Return what there is of everybody's, by kind."""
    return {
        "container": set(engine.eye.containers()),
        "network": set(engine.eye.networks()),
        "volume": engine.eye.volumes(),
    }


def ledger_state(hostadmin: Hostadmin) -> dict[str, set[str]]:
    """Return what the ledger says there is, by kind, without the engine's own networks."""
    found: dict[str, set[str]] = {"container": set(), "network": set(), "volume": set()}
    for kind, ref in hostadmin.rows("select kind, ref from objects where gone_at is null and attribution != 'engine'"):
        found.setdefault(kind, set()).add(ref)
    return {kind: found[kind] for kind in ("container", "network", "volume")}


def await_agreement(engine: Engine, hostadmin: Hostadmin) -> None:
    """Wait until the ledger has exactly what the engine has."""
    apart: dict[str, list[str]] = {}

    def agree() -> bool:
        theirs, ours = engine_state(engine), ledger_state(hostadmin)
        apart.clear()
        apart.update({f"{kind} in one only": sorted(theirs[kind] ^ ours[kind]) for kind in theirs if theirs[kind] != ours[kind]})
        return not apart

    try:
        until("the ledger agrees with the engine", agree)
    except AssertionError:
        refs = [ref for found in apart.values() for ref in found]
        marks = ",".join("?" * len(refs))
        rows = hostadmin.rows(
            f"select kind, ref, name, owner_id, attribution, first_seen, gone_at from objects where ref in ({marks})", *refs
        )
        raise AssertionError(f"ledger and engine are apart: {apart}; ledger rows: {rows}") from None


def judge_agreement(engine: Engine, hostadmin: Hostadmin) -> None:
    """Ledger and engine agree, owners are whose names say so, and every record has its outcome."""
    until("no intent is open", lambda: not hostadmin.rows("select * from audit_open"))
    await_agreement(engine, hostadmin)
    owners = hostadmin.rows(
        "select o.kind, o.name, o.ref, u.login from objects o left join users u on u.id = o.owner_id "
        "where o.gone_at is null and o.kind in ('container', 'network', 'volume') and o.attribution != 'engine'"
    )
    orphans = [(kind, name, ref) for kind, name, ref, login in owners if login is None]
    assert not orphans, f"objects made through the guard whose owner was lost: {orphans}"
    wrong = [row for row in owners if not (row[1] or row[2]).startswith(row[3])]
    assert not wrong
    unanswered = hostadmin.rows(
        "select seq, action, object_name from audit_records i where stage = 'intent' "
        "and not exists (select 1 from audit_records o where o.of_seq = i.seq)"
    )
    assert not unanswered
