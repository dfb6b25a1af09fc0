"""The engine's real texts (20.10 to the newest), as one reads them who owns only some of what they name."""

import pytest

from hostadmin.guard.messages import HIDDEN, Own, rewrite

MINE, MINE2, THEIRS, NET = "a1" * 32, "a2" * 32, "b1" * 32, "c1" * 32
IMAGE = "d1" * 32
OWN = Own(frozenset({MINE, MINE2, NET, f"sha256:{IMAGE}"}), frozenset({"mine", "mine2"}))
TAKEN = "You have to remove (or rename) that container to be able to reuse that name."
PORT = "another container or program on this host has it. Choose another port"
FAILED = "driver failed programming external connectivity on endpoint mine"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (
            f'Conflict. The container name "/x" is already in use by container "{THEIRS}". {TAKEN}',
            'Conflict. The container name "/x" is already in use on this host. Choose another name.',
        ),
        (
            f'Error when allocating new name: Conflict. The container name "/x" is already in use by container "{THEIRS}". {TAKEN}',
            'Error when allocating new name: Conflict. The container name "/x" is already in use on this host. Choose another name.',
        ),
        (f"remove v: volume is in use - [{THEIRS}]", "remove v: volume is in use by a container that is not yours; ask an administrator"),
        (
            f"remove v: volume is in use - [{THEIRS}, {'b2' * 32}]",
            "remove v: volume is in use by a container that is not yours; ask an administrator",
        ),
        (f"remove v: volume is in use - [{THEIRS}, {MINE}]", f"remove v: volume is in use - [{MINE}]"),
        (
            f'conflict: unable to remove repository reference "r" (must force) - container {THEIRS[:12]} is using its referenced image {IMAGE[:12]}',
            'conflict: unable to remove repository reference "r" - it is in use by a container that is not yours; ask an administrator',
        ),
        (
            f"conflict: unable to delete {IMAGE[:12]} (cannot be forced) - image is being used by running container {THEIRS[:12]}",
            f"conflict: unable to delete {IMAGE[:12]} - it is in use by a container that is not yours; ask an administrator",
        ),
        (
            f"conflict: unable to delete {IMAGE[:12]} (must be forced) - image is being used by stopped container {THEIRS[:12]}",
            f"conflict: unable to delete {IMAGE[:12]} - it is in use by a container that is not yours; ask an administrator",
        ),
        (
            'error while removing network: network n has active endpoints (name:"theirs" id:"0123456789ab", name:"other" id:"0123456789ac")',
            "error while removing network: network n has active endpoints of containers that are not yours; ask an administrator",
        ),
        (
            'error while removing network: network n has active endpoints (name:"theirs" id:"0123456789ab", name:"mine" id:"0123456789ac")',
            'error while removing network: network n has active endpoints ("mine")',
        ),
        (
            "Pool overlaps with other one on this address space",
            "Pool overlaps with other one on this address space: the subnet is taken on this host. Choose another one, or none",
        ),
        (
            f"cannot create network {NET} (br-{NET[:12]}): conflicts with network {THEIRS} (br-{THEIRS[:12]}): networks have overlapping IPv4",
            "cannot create this network: networks have overlapping IPv4 of this host. Choose another subnet, or none",
        ),
        (
            f"{FAILED} ({'e' * 64}): Bind for 0.0.0.0:8080 failed: port is already allocated",
            f"{FAILED}: Bind for 0.0.0.0:8080 failed: port is already allocated: {PORT}",
        ),
        (
            f"{FAILED} ({'e' * 64}): Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use",
            f"{FAILED}: Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use: {PORT}",
        ),
        ("Multiple IDs found with provided prefix: ab", "No such container: ab"),
        ("multiple IDs found with provided prefix: ab", "No such container: ab"),
        ("network n is ambiguous (2 matches found on name)", "network n not found"),
        ("2 matches found based on name: network n is ambiguous", "network n not found"),
        (f"cannot join network of a non running container: {THEIRS}", f"cannot join network of a non running container: {HIDDEN}"),
        (f"something new about {THEIRS} and sha256:{THEIRS}", f"something new about {HIDDEN} and {HIDDEN}"),
    ],
)
def test_what_is_of_others_is_not_named_or_counted(text, read):
    assert rewrite(text, OWN) == read
    assert rewrite(read, OWN) == read or read.endswith(PORT)


@pytest.mark.parametrize(
    "text",
    [
        f'Conflict. The container name "/x" is already in use by container "{MINE}". {TAKEN}',
        f"remove v: volume is in use - [{MINE}, {MINE2}]",
        f'conflict: unable to remove repository reference "r" (must force) - container {MINE[:12]} is using its referenced image {IMAGE[:12]}',
        f"conflict: unable to delete {IMAGE[:12]} (cannot be forced) - image is being used by running container {MINE[:12]}",
        f"conflict: unable to delete {IMAGE[:12]} (cannot be forced) - image has dependent child images",
        f"error while removing network: network n id {NET} has active endpoints",
        'error while removing network: network n has active endpoints (name:"mine" id:"0123456789ab")',
        f"cannot create network {NET} (br-{NET[:12]}): conflicts with network {NET} (br-{NET[:12]}): networks have overlapping IPv4",
        f"cannot join network of a non running container: {MINE}",
        f"You cannot remove a running container {MINE}. Stop the container before attempting removal or force remove",
        "endpoint with name mine already exists in network n",
        "No such container: x",
    ],
)
def test_what_is_ones_own_is_read_as_the_engine_says_it(text):
    assert rewrite(text, OWN) == text
