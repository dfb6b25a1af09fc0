"""Layers that several images share count once; nothing counts that is not in an image that was handed in."""

from hostadmin.guard.layers import read_stack, shared_sizes, total_size


def stack(name, *sizes):
    """An image of layers that are named by all that lies below them; sizes as pairs of layer name and bytes."""
    layers, below = [], ""
    for layer, _ in sizes:
        below += layer
        layers.append(below)
    history = [{"Size": size, "CreatedBy": "/bin/sh -c x"} for _, size in reversed(sizes)]
    history.insert(0, {"Size": 0, "CreatedBy": '/bin/sh -c #(nop)  CMD ["sh"]'})
    return read_stack({"Id": name, "Size": sum(s for _, s in sizes), "RootFS": {"Layers": layers}}, history)


BASE = stack("base", ("b", 100))
ONE = stack("one", ("b", 100), ("m", 50), ("x", 7))
OTHER = stack("other", ("b", 100), ("m", 50), ("y", 9))


def test_a_step_that_two_images_share_counts_once():
    assert shared_sizes([BASE, ONE, OTHER]) == {"base": 100, "one": 150, "other": 150}
    assert total_size([BASE, ONE, OTHER]) == 100 + 50 + 7 + 9


def test_what_is_not_handed_in_does_not_count():
    assert shared_sizes([ONE]) == {"one": 0}
    assert total_size([ONE]) == 157
    assert total_size([]) == 0


def test_two_names_for_the_same_layers():
    twin = stack("twin", ("b", 100))
    assert shared_sizes([BASE, twin]) == {"base": 100, "twin": 100}
    assert total_size([BASE, twin]) == 100


def test_a_history_that_does_not_tell_its_layers_leaves_the_whole_size():
    found = {"Id": "x", "Size": 30, "RootFS": {"Layers": ["1", "2"]}}
    assert read_stack(found, [{"Size": 30, "CreatedBy": "imported"}]).sizes == {0: 0, 2: 30}
    assert read_stack({"Id": "x", "Size": 5}, []).size(0) == 5
