"""One table of mutations, each a function of a random source and a draft. All are deterministic in the source."""

import random
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from tests.fuzz import dictionary, tars
from tests.fuzz.draft import Draft, Literal, Pairs, copied, dump

Mutation = Callable[[random.Random, Draft, list[Draft]], None]


def objects(value: Any) -> list[Pairs]:
    """Return all objects in a JSON value, the outermost first."""
    found: list[Pairs] = []
    level = [value]
    while level:
        item = level.pop(0)
        if isinstance(item, Pairs):
            found.append(item)
            level += [v for _, v in item]
        elif isinstance(item, list):
            level += item
    return found


def _choose(rng: random.Random, pool: list[Any]) -> Any:
    """Return a value of a dictionary that may be changed afterwards."""
    return copied(rng.choice(pool))


def _object(rng: random.Random, draft: Draft) -> Pairs | None:
    found = objects(draft.json)
    return rng.choice(found[:3] if rng.random() < 0.6 else found) if found else None


def _home(draft: Draft, member: str) -> Pairs | None:
    """Return where a member belongs: ``HostConfig`` of a create, else the outermost object."""
    root = draft.json if isinstance(draft.json, Pairs) else None
    inner = root.get("HostConfig") if root is not None else None
    return inner if isinstance(inner, Pairs) and member in dictionary.HOST_MEMBERS else root


def _put(target: Pairs, member: str, value: Any, *, twice: bool = False) -> None:
    for pair in [] if twice else target:
        if pair[0] == member:
            pair[1] = value
            return
    target.append([member, value])


def set_dangerous(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Put a host-reaching value where it belongs."""
    pool = dictionary.HOST_MEMBERS if draft.path.endswith(("create", "update")) and rng.random() < 0.7 else dictionary.MEMBERS
    member = rng.choice(list(pool))
    home = _home(draft, member)
    if home is not None:
        _put(home, member, _choose(rng, pool[member]))


def set_existing(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Give a member that is there another value of its own dictionary, or an edge value."""
    target = _object(rng, draft)
    if target:
        pair = rng.choice(target)
        pair[1] = _choose(rng, dictionary.MEMBERS.get(str(pair[0]), dictionary.EDGES))


def set_edge(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Give a member a value of another type or at a limit."""
    target = _object(rng, draft)
    if target:
        rng.choice(target)[1] = _choose(rng, dictionary.EDGES)


def misplace(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Put a dangerous member into an object where it does not belong (old engines bind some of them)."""
    target, member = _object(rng, draft), rng.choice(list(dictionary.MEMBERS))
    if target is not None:
        target.insert(rng.randint(0, len(target)), [member, _choose(rng, dictionary.MEMBERS[member])])


def rename(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Spell a member in another case, folded, or with an escape; with a dangerous value where there is one."""
    target = _object(rng, draft)
    if not target:
        return
    pair = rng.choice(target)
    name = rng.choice(list(dictionary.HOST_MEMBERS)) if rng.random() < 0.5 else str(pair[0])
    value = _choose(rng, dictionary.MEMBERS.get(name, [pair[1]]))
    position = rng.randrange(len(name)) if name else 0
    spellings = [
        name.lower(),
        name.upper(),
        name.swapcase(),
        name[:position]
        + dictionary.FOLDED.get(name[position : position + 1], name[position : position + 1].swapcase())
        + name[position + 1 :],
        "".join(dictionary.FOLDED.get(c, c) for c in name),
        Literal('"' + "".join(f"\\u{ord(c):04x}" if i == position else c for i, c in enumerate(name)) + '"'),
        name + rng.choice([" ", "\u200b", "\0", "."]),
    ]
    target.append([rng.choice(spellings), value])


def duplicate(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Say a member twice, the harmless and the dangerous value in either order."""
    target, member = _object(rng, draft), rng.choice(list(dictionary.MEMBERS))
    if target is None:
        return
    if target and rng.random() < 0.7:
        member = str(rng.choice(target)[0])
    value = _choose(rng, dictionary.MEMBERS.get(member, dictionary.EDGES))
    target.insert(0 if rng.random() < 0.5 else len(target), [member, value])


def move(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Move or copy a member to another level."""
    source, target = _object(rng, draft), _object(rng, draft)
    if source and target is not None:
        pair = rng.choice(source)
        if rng.random() < 0.5:
            source.remove(pair)
        target.append([pair[0], copied(pair[1])])


def borrow(rng: random.Random, draft: Draft, corpus: list[Draft]) -> None:
    """Take a member, a whole body or a query from another request."""
    other = rng.choice(corpus)
    if rng.random() < 0.3 and other.json is not None:
        draft.json = other.copy().json
    elif rng.random() < 0.3:
        draft.query += [list(p) for p in other.query]
    elif (source := objects(other.copy().json)) and (target := _object(rng, draft)) is not None:
        pick = rng.choice(source)
        if pick:
            target.append(list(rng.choice(pick)))


def root(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Change what the body is as a whole."""
    if draft.json is None:
        draft.json = Pairs([[m, _choose(rng, dictionary.MEMBERS[m])] for m in rng.sample(list(dictionary.MEMBERS), 2)])
        return
    text = dump(draft.json)
    draft.json = Literal(
        rng.choice(
            [
                f"[{text}]",
                f"{text}{text}",
                f"{text} x",
                f"\ufeff{text}",
                f" \n{text}\n ",
                text[: len(text) // 2],
                "null",
                "",
                f"/**/{text}",
                f'{{"a":{text}}}',
            ]
        )
    )


def add_parameter(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Add or replace a query parameter."""
    name = rng.choice([k for k, _ in draft.query]) if draft.query and rng.random() < 0.5 else rng.choice(list(dictionary.PARAMETERS))
    value = rng.choice(dictionary.PARAMETERS.get(name, ["", "1", "0", "x", "@BOX@", "\0", "é", "-1"]))
    if rng.random() < 0.5:
        draft.query = [p for p in draft.query if p[0] != name]
    draft.query.insert(rng.randint(0, len(draft.query)), [name.upper() if rng.random() < 0.05 else name, value])


def drop_parameter(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Leave a parameter out."""
    if draft.query:
        draft.query.remove(rng.choice(draft.query))


def recode(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Write the query in another encoding."""
    styles: list[Callable[[str], str]] = [
        lambda text: quote(text, safe="@").replace("%20", "+"),
        lambda text: "".join(f"%{b:02x}" for b in text.encode("utf-8", "surrogatepass")),
        lambda text: quote(quote(text, safe="@"), safe="@"),
        lambda text: text.replace(" ", "+"),
        lambda text: quote(text, safe="@{}:,[];=&"),
        lambda text: quote(text.encode("utf-16", "surrogatepass")),
    ]
    draft.escape = rng.choice(styles)


def change_path(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Spell the path in another way."""
    bare = re.sub(r"^/v[0-9.]+", "", draft.path)
    cut = rng.randint(0, len(bare))
    draft.path = rng.choice(
        [
            rng.choice(dictionary.VERSIONS) + bare,
            draft.path + "/",
            draft.path.replace("/", "//", 1),
            draft.path[:1] + "./" + draft.path[1:],
            f"/x/..{draft.path}",
            draft.path.replace("/containers/", "/%63ontainers/").replace("/images/", "/imag%65s/"),
            draft.path.replace("@/", "@%2f"),
            draft.path.replace("@BOX", "%2e%2e/@BOX"),
            f"http://docker{draft.path}",
            draft.path + rng.choice(["%00", "%20", "%0a", "#x", ";a=b", "%", "%zz", "\\x", "%2e", "%252e"]),
            draft.path.upper(),
            rng.choice(dictionary.VERSIONS) + bare[:cut] + rng.choice(["/", "@BOX@", "%2F", "..", "@IMG@"]) + bare[cut:],
            "*",
        ]
    )


def change_reference(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Put another kind of reference into the path."""
    kinds = [
        "@BOX@",
        "@BOXID@",
        "@NET@",
        "@NETID@",
        "@VOL@",
        "@IMG@",
        "@IMGID@",
        "@EXEC@",
        "bridge",
        "host",
        "none",
        "alpine",
        "json",
        "create",
        "prune",
        "get",
    ]
    draft.path = re.sub(r"@\w+@", lambda found: rng.choice(kinds) if rng.random() < 0.7 else found[0], draft.path)


def change_method(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Use another method."""
    draft.method = rng.choice(dictionary.METHODS)


def add_field(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Add a header, among them framing."""
    name, _, value = rng.choice(dictionary.FIELDS).partition(":")
    draft.fields.insert(rng.randint(0, len(draft.fields)), [name.upper() if rng.random() < 0.1 else name, value.strip(" ")])


def drop_field(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Leave a header out."""
    if draft.fields:
        draft.fields.remove(rng.choice(draft.fields))


def reframe(rng: random.Random, draft: Draft, corpus: list[Draft]) -> None:
    """Change how long the body says it is, its chunks, or what follows it."""
    other = b"DELETE /v1.41/containers/x?force=1 HTTP/1.1\r\nHost: a\r\n\r\n"
    choice = rng.randrange(9)
    if choice == 0:
        draft.chunked = not draft.chunked
    elif choice == 1:
        draft.minor = 0
    elif choice == 2:
        draft.raw.append(lambda data: data + other)
    elif choice == 3:
        cut = rng.randint(1, 40)
        draft.raw.append(lambda data: data[:-cut])
    elif choice == 4:
        draft.raw.append(lambda data: data.replace(b"\r\n", b"\n", 1))
    elif choice == 5:
        draft.raw.append(lambda data: data.replace(b"\r\n\r\n", b"\r\n x\r\n\r\n", 1))
    elif choice == 6:
        length = rng.choice([0, 1, 7, 2**31, 2**63, 10**15 - 1])
        draft.raw.append(lambda data: re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % length, data))
    elif choice == 7:
        draft.raw.append(lambda data: b"\r\n" + data)
    else:
        draft.raw.append(
            lambda data: data.replace(b"\r\n0\r\n\r\n", b"\r\n0\r\nX-A: b\r\n\r\n").replace(b"chunked\r\n\r\n", b"chunked\r\n\r\n0")
        )


def flip(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Change, insert or take away bytes."""
    spots = [(rng.random(), rng.randrange(4), rng.randrange(256)) for _ in range(rng.choice([1, 1, 2, 4]))]

    def change(data: bytes) -> bytes:
        out = bytearray(data)
        for where, how, byte in spots:
            position = int(where * len(out))
            if how == 0 and out:
                out[position] ^= 1 << (byte % 8)
            elif how == 1:
                out.insert(position, byte)
            elif how == 2:
                del out[position : position + 1 + byte % 8]
            else:
                out[position:position] = out[position : position + byte % 32]
        return bytes(out)

    draft.raw.append(change)


def change_tar(rng: random.Random, draft: Draft, _: list[Draft]) -> None:
    """Change what is in a tar."""
    if draft.tar is not None:
        draft.tar = tars.mutate(rng, draft.tar)


BODY: Final = (set_dangerous,) * 6 + (set_existing,) * 4 + (set_edge, misplace, rename, duplicate, move, borrow) * 2 + (root,)
QUERY: Final = (add_parameter,) * 3 + (drop_parameter, recode)
OTHER: Final = (
    change_path,
    change_path,
    change_reference,
    change_reference,
    change_method,
    add_field,
    add_field,
    drop_field,
    reframe,
    borrow,
)
TARS: Final = (change_tar,) * 6


def mutations_for(rng: random.Random, draft: Draft) -> Mutation:
    """Choose a mutation that has something to work on."""
    if draft.tar is not None and rng.random() < 0.6:
        return rng.choice(TARS)
    if draft.json is not None and rng.random() < 0.65:
        return rng.choice(BODY)
    return rng.choice(QUERY if rng.random() < 0.45 else OTHER)
