"""How two transcripts are compared: what differs by nature or by design is replaced, everything else is told."""

from tests.integration.flows.design import DESIGN, by_design
from tests.integration.flows.normal import normalise
from tests.integration.flows.play import Seen, differences
from tests.integration.flows.steps import ANY, FAILS, Step

ONE, TWO = "0123456789ab" + "0" * 52, "ba9876543210" + "0" * 52
OWNER = '"io.hostadmin.owner": "01a216a9-e6bb-7cb8-b379-0123456789ab"'


def test_ids_are_named_in_their_order() -> None:
    """The same id, long or short, is the same thing; another id is another."""
    assert normalise(f"{ONE} {ONE[:12]} {TWO[:12]}") == "<id1>... <id1> <id2>"
    assert normalise(f"{ONE} {ONE[:12]} {TWO[:12]}") != normalise(f"{ONE} {TWO[:12]} {TWO[:12]}")


def test_times_and_addresses() -> None:
    """What a clock or an address pool decides is left out, what the user said stays."""
    assert normalise("Up 3 seconds, 172.17.0.2 10.77.0.9 0.0.0.0:18081->81/tcp") == "Up <while>, <address> 10.77.0.9 0.0.0.0:18081->81/tcp"
    assert normalise("2026-11-26T07:00:00.123456789Z") == "<time>"
    assert normalise("b\na", any_order=True) == "a\nb"
    assert normalise("3.5MB of 7", numbers=True) == "<n>MB of <n>"


def test_labels_of_ours_are_left_out() -> None:
    """First, last and only labels."""
    for text, shown in (
        (f'{{"k": "v",\n  {OWNER}\n}}', '{"k": "v"\n}'),
        (f'{{\n  {OWNER},\n  "k": "v"\n}}', '{\n  "k": "v"\n}'),
        ("k=v,io.hostadmin.owner=01a216a9-e6bb-7cb8-b379-0123456789ab", "k=v"),
    ):
        assert by_design("docker ps", text) == shown
    assert all(row.reason for row in DESIGN)


def test_what_differs_is_told() -> None:
    """Exit code, stdout and stderr of every step; and a step that the bare engine does not do as expected."""
    step = Step("docker ps")
    same = Seen(step, 0, "a\n", "")
    assert differences([same], [same]) == []
    for other in (Seen(step, 1, "a\n", ""), Seen(step, 0, "b\n", ""), Seen(step, 0, "a\n", "warning\n"), Seen(step, 0, "", "a\n")):
        assert differences([same], [other])
    failed = Seen(step, 1, "", "no")
    assert "on the bare engine" in differences([failed], [failed])[0]
    for code, ended in ((FAILS, 126), (ANY, 0), (ANY, 1), (2, 2)):
        seen = Seen(Step("x", code), ended, "", "")
        assert differences([seen], [seen]) == []
    late = Seen(Step("x", ANY), -1, "nothing within 60 s", "")
    assert differences([late], [late])
