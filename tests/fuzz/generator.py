"""Request number ``i`` of seed ``s``: the same draft whenever and wherever it is asked for.

Only its placeholders depend on what there is on the engine; the filling is drawn from the same source.
"""

import random
import re
from typing import Final

from tests.fuzz import dictionary, mutations
from tests.fuzz.draft import Draft, load_corpus

WEIGHTS: Final = (  # how often an operation's requests are drawn, by the end of its name; the dear ones less often
    ("/containers/create", 9.0),
    ("/exec", 4.0),
    ("/networks/create", 3.0),
    ("/volumes/create", 3.0),
    ("/update", 3.0),
    ("/connect", 2.0),
    ("/containers/json", 2.0),
    ("/build", 0.4),
    ("/images/load", 0.5),
    ("/commit", 0.5),
    ("/restart", 0.3),
    ("@BOX@/start", 0.5),
    ("/swarm/init", 0.2),
    ("/search", 0.2),
    ("/auth", 0.2),
)
KINDS: Final = {"BOX": "box", "NET": "net", "VOL": "vol", "IMG": "img"}
Refs = dict[str, dict[str, list[str]]]
"""Whose (``own``, ``victim``, ``host``) → placeholder → texts."""


class Generator:
    """Draws mutated requests from the recorded ones."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.corpus = load_corpus() + [_extra(*line) for line in dictionary.EXTRA]
        groups: dict[str, list[Draft]] = {}
        for draft in self.corpus:
            groups.setdefault(draft.operation, []).append(draft)
        self.groups = [groups[name] for name in sorted(groups)]
        self.weights = [next((w for end, w in WEIGHTS if name.endswith(end)), 1.0) for name in sorted(groups)]

    def draft(self, index: int) -> tuple[Draft, random.Random]:
        """Return draft ``index`` and the source that its references are drawn from."""
        rng = random.Random(f"{self.seed}:{index}")
        draft = rng.choice(rng.choices(self.groups, self.weights)[0]).copy()
        for _ in range(rng.choices((0, 1, 2, 3, 5), (13, 50, 23, 10, 4))[0]):
            chosen = mutations.mutations_for(rng, draft)
            chosen(rng, draft, self.corpus)
            draft.notes.append(chosen.__name__)
        if rng.random() < 0.05:
            mutations.flip(rng, draft, self.corpus)
            draft.notes.append("flip")
        return draft, rng

    def request(self, index: int, refs: Refs) -> tuple[Draft, bytes]:
        """Return draft ``index`` and its bytes with the references that there are now."""
        draft, rng = self.draft(index)
        return draft, draft.render(lambda kind: fill(rng, kind, refs, index))


def _extra(method: str, target: str, fields: str) -> Draft:
    path, _, query = target.partition("?")
    pairs = [list(p.partition("=")[::2]) for p in query.split("&") if p]
    return Draft(method, path, pairs, [["host", "docker"], *(line.split(": ", 1) for line in fields.split("\n") if line)], client="nobody")


def fill(rng: random.Random, kind: str, refs: Refs, index: int) -> str:
    """Return a text for a placeholder: mostly the caller's own, else the victim's, the host's, or nobody's."""
    if kind.startswith("NEW"):
        if rng.random() < 0.15:
            return fill(rng, kind[3:], refs, index)
        return f"fz{KINDS[kind[3:]]}{index % 1000}"
    whose = rng.choices(("own", "victim", "host", "nobody"), (74, 17, 5, 4))[0]
    found = refs.get(whose, {}).get(kind) or (refs.get("own", {}).get(kind) if whose == "host" else None)
    if not found:
        return "f" * 64 if kind.endswith("ID") or kind == "EXEC" else "nobodys"
    text = rng.choice(found)
    if rng.random() < 0.85:
        return text
    return _disguised(rng, text)


def _disguised(rng: random.Random, text: str) -> str:
    bare = re.sub(r"^sha256:", "", text)
    return rng.choice(
        [
            bare[:12],
            bare[: rng.randint(1, 8)],
            bare,
            text.upper(),
            f"/{text}",
            f"{text} ",
            f"{text}:latest",
            f"./{text}",
            f"{text}@sha256:{'0' * 64}",
        ]
    )
