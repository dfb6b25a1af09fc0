"""A burst of events is reduced to what changes the ledger."""

from hostadmin.objects.watcher import reduce_batch


def event(kind, action, ref="a"):
    return {"Type": kind, "Action": action, "Actor": {"ID": ref}}


def short(events):
    return [(e["Type"], e["Action"], e["Actor"]["ID"]) for e in events]


def test_a_run_with_rm_is_one_end():
    run = [event("container", a) for a in ("create", "attach", "start", "die", "destroy")]
    run[2:2] = [event("network", "connect", "n")]
    assert short(reduce_batch(run)) == [("container", "destroy", "a")]


def test_a_start_is_looked_at_once():
    assert short(reduce_batch([event("container", a) for a in ("create", "start", "rename")])) == [("container", "rename", "a")]


def test_a_volume_that_ends_and_begins_anew_is_both_in_that_order():
    again = [event("volume", a) for a in ("create", "destroy", "create")]
    assert short(reduce_batch(again)) == [("volume", "destroy", "a"), ("volume", "create", "a")]
    assert short(reduce_batch([*again, event("volume", "destroy")])) == [("volume", "destroy", "a")]


def test_objects_keep_apart_and_images_come_last_and_once():
    batch = [event("image", "tag", "x"), event("container", "start"), event("container", "start", "b"), event("image", "untag", "y"), None]
    assert short(reduce_batch(batch)) == [("container", "start", "a"), ("container", "start", "b"), ("image", "untag", "y")]


def test_what_changes_nothing_is_nothing():
    batch = [
        event("container", "exec_create: sh"),
        event("image", "save"),
        event("network", "connect"),
        event("daemon", "reload"),
        {},
        None,
    ]
    assert reduce_batch(batch) == []
