"""The table of what differs by design between the bare engine and the guard; everything else must be equal."""

import re
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Difference:
    """In the output of commands that match ``command``, ``pattern`` is replaced; ``reason`` says why it differs."""

    command: str
    pattern: str
    replacement: str
    reason: str
    compiled: "re.Pattern[str]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the pattern once."""
        object.__setattr__(self, "compiled", re.compile(self.pattern, re.MULTILINE))


UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
DESIGN: Final = (
    Difference("", rf',(\s*"io\.hostadmin\.\w+": ?"{UUID}",?)+(?=\s*\}})', "", "whose it is, so that a lost ledger can be rebuilt"),
    Difference("", rf'\s*"io\.hostadmin\.\w+": ?"{UUID}",?', "", "the same"),
    Difference("", rf"io\.hostadmin\.\w+={UUID},|,?io\.hostadmin\.\w+={UUID}", "", "the same"),
    Difference(
        "inspect", r'"(Labels|Options)": (null|\{\s*\})', r'"\1": <none>', "a map that says nothing is left out of the rebuilt request"
    ),
    Difference("inspect i1", r'"CgroupnsMode": "(host|private)"', '"CgroupnsMode": <mode>', "a container sees its own cgroup only"),
    Difference(
        "inspect i1",
        r'"(Blkio\w+|Devices)": (null|\[\])',
        r'"\1": <none>',
        "a list that says nothing is left out of the rebuilt request",
    ),
    Difference(
        "",
        r"[Nn]o such image: (\S+?)(: No such image: \S+)?(:latest)?$",
        r"No such image: \1",
        "one sentence for a missing image and a hidden one",
    ),
    Difference(
        "docker history",
        r"(?<= file:)[0-9a-f]+",
        "<sum>",
        "the old client's tar says the kind of file in its mode too; the rebuilt one only where tar does",
    ),
    Difference(
        "FROM nosuch",
        r"^Step 1/1 : FROM nosuch:image\n|Error response from daemon: ",
        "",
        "the guard sees to the base images before it builds",
    ),
    Difference("dangling=true -q", r"^\d+$", "<n>", "the untagged image of a build's stage is not shown"),
    Difference("docker rmi own", r"^Deleted: .*\n", "", "only what nobody else can hold is deleted, in another order"),
    Difference(
        "docker push nosuch",
        r"^The push refers to.*\n|(An image does not exist locally with the tag|Error response from daemon: No such image)(?=: nosuch/x)",
        "",
        "an image that is not there and one that is somebody else's are one answer",
    ),
    Difference(
        "inspect i1", r'"CgroupParent": "[^"]*"', '"CgroupParent": <parent>', "the user's own cgroup holds the sum of what they may use"
    ),
    Difference(
        "inspect i1",
        r'"CapDrop": (null|\[[^\]]*\])',
        '"CapDrop": <dropped>',
        "nobody makes device nodes: a shell on the host could open them",
    ),
    Difference("inspect i1", r'(?<="Config": )\{\s*("max-\w+": "\d+",?\s*)*\}', "<log>", "logs have a size"),
    Difference("RUN false", r"^(Removing| ---> Removed) intermediate container.*\n", "", "a failed build leaves no container behind"),
    Difference(
        "NOSUCH x",
        r"(dockerfile parse error (?:on )?line 2|hostadmin refused this build):",
        "<who>:",
        "the guard reads the Dockerfile first",
    ),
    Difference(
        "echo no tar",
        r"^(Error (processing|response)|unexpected EOF).*",
        "Error",
        "the guard reads the file first, and says what is wrong in its own words",
    ),
    Difference("subnet nonsense", r"(Invalid subnet|IPAM.Config).*", "<refused>", "the guard names the field"),
    Difference(
        "network nosuch",
        r"hostadmin refused to create this container: |(?<=not found)\.|^time=.*context canceled.*\n|^See 'docker run --help'\.\n",
        "",
        "told before anything is created; the bare engine leaves a container behind",
    ),
    Difference(
        " -it | attach | -ai ", r"/ # [^\n]*(?=/ # )", "", "a prompt is drawn again if the window's size arrives while something is typed"
    ),
    Difference("version", r"\b1\.\d+\b(?= linux$|\))", "<lowest>", "the guard's version window"),
    Difference(
        "docker info", r"^ +(Network|Log|Runtimes|Docker Root Dir|Labels|CPUs|ID|Name): .*$", "", "only what is the caller's business"
    ),
    Difference(
        "docker info",
        r"^ (Default Address Pools|Insecure Registries|CDI spec directories):\n(  .*\n)+",
        "",
        "only what is the caller's business",
    ),
    Difference("filter nosuch", "[Ii]nvalid filter", "Invalid filter", "the guard knows the filters, and engines spell it in two ways"),
    Difference("swarm init", r"Error response.*", "<refused>", "a host of hostadmin is no swarm"),
)


def by_design(command: str, text: str) -> str:
    """Return a step's output without what differs by design."""
    for row in DESIGN:
        if re.search(row.command, command):
            text = row.compiled.sub(row.replacement, text)
    return text
