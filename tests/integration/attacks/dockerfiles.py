"""Dockerfiles that two readers read differently: each must not use, copy from, or give away somebody else's image.

``devimg:v1`` (and ``:latest``) is dev's; ``/who`` in it holds the canary. The output of a build is all that its owner needs.
"""

from dataclasses import dataclass, field
from typing import Final

NBSP: Final = "\u00a0"
STEAL: Final = "RUN cat /who\n"
COPIED: Final = "RUN cat /stolen\n"


@dataclass(frozen=True)
class Dockerfile:
    """One attack: its text (``$I`` is the image, ``$R`` its repository), and the parameters of the build."""

    name: str
    text: str
    query: str = ""
    twin: str = ""
    twin_query: str = ""
    files: dict[str, bytes] = field(default_factory=dict)


DOCKERFILES: Final = [
    Dockerfile("from", f"FROM $I\n{STEAL}"),
    Dockerfile("from-lowercase-word", f"from $I\n{STEAL}"),
    Dockerfile("from-second-stage", f"FROM alpine AS a\nFROM $I\n{STEAL}"),
    Dockerfile("copy-from", f"FROM alpine\nCOPY --from=$I /who /stolen\n{COPIED}"),
    Dockerfile(
        "copy-from-own-stage-name",
        f"FROM alpine AS $R\nCOPY --from=$R /who /stolen\n{COPIED}",
        twin=f"FROM $I AS a\nFROM alpine\nCOPY --from=a /who /stolen\n{COPIED}",
    ),
    Dockerfile(
        "copy-from-later-stage-name",
        f"FROM alpine AS a\nCOPY --from=$R /who /stolen\n{COPIED}FROM alpine AS $R\nRUN true\n",
        twin=f"FROM alpine\nCOPY --from=$I /who /stolen\n{COPIED}",
    ),
    Dockerfile(
        "onbuild-from-copy",
        f"FROM alpine\nONBUILD COPY --from=$I /who /stolen\n{STEAL.replace('cat /who', 'true')}",
        twin="FROM alpine\nONBUILD RUN true\n",
    ),
    Dockerfile(
        "nbsp-after-backslash",
        f"FROM alpine\nRUN true \\{NBSP}\nFROM $I\n{STEAL}",
        twin=f"FROM alpine\nRUN true \\\n && true\nFROM $I\n{STEAL}",
    ),
    Dockerfile("em-space-after-backslash", f"FROM alpine\nRUN true \\\u2003\nFROM $I\n{STEAL}", twin=f"FROM $I\n{STEAL}"),
    Dockerfile("ideographic-space-after-backslash", f"FROM alpine\nRUN true \\\u3000\nFROM $I\n{STEAL}", twin=f"FROM $I\n{STEAL}"),
    Dockerfile(
        "comment-in-continuation",
        f"FROM alpine\nRUN true \\\n# comment \\\nFROM $I\n{STEAL}",
        twin="FROM $I\nRUN cat \\\n# comment\n /who\n",
    ),
    Dockerfile("empty-line-in-continuation", f"FROM alpine\nRUN true \\\n\nFROM $I\n{STEAL}", twin="FROM $I\nRUN cat \\\n /who\n"),
    Dockerfile("two-backslashes", f"FROM alpine\nRUN true \\\\\nFROM $I\n{STEAL}", twin=f"FROM $I\n{STEAL}"),
    Dockerfile(
        "escape-directive", f"# escape=`\nFROM alpine\nRUN true \\\nFROM $I\n{STEAL}", twin="# escape=\\\nFROM $I\nRUN cat \\\n /who\n"
    ),
    Dockerfile("escape-directive-spaced", f"#\tESCAPE \t= `\nFROM alpine\nRUN true \\\nFROM $I\n{STEAL}", twin=f"FROM $I\n{STEAL}"),
    Dockerfile(
        "escape-directive-after-syntax",
        f"# syntax=docker/dockerfile:1\n# escape=`\nFROM alpine\nRUN true \\\nFROM $I\n{STEAL}",
        twin=f"# syntax=docker/dockerfile:1\nFROM $I\n{STEAL}",
    ),
    Dockerfile("carriage-return", f"FROM alpine\r\nRUN true \\\r\r\nFROM $I\r\n{STEAL}", twin="FROM $I\r\nRUN cat \\\r\n /who\r\n"),
    Dockerfile("vertical-tab", f"FROM\x0b$I\n{STEAL}", twin=f"FROM\t$I\n{STEAL}"),
    Dockerfile("byte-order-mark", f"\ufeffFROM $I\n{STEAL}"),
    Dockerfile("two-byte-order-marks", f"\ufeff\ufeffFROM $I\n{STEAL}", twin=f"\ufeffFROM $I\n{STEAL}"),
    Dockerfile("argument", f"ARG B=$I\nFROM $B\n{STEAL}"),
    Dockerfile("argument-given", f"ARG B=alpine\nFROM $B\n{STEAL}", query='&buildargs={"B":"$I"}'),
    Dockerfile("argument-default-of-unset", "FROM ${B:-$I}\n" + STEAL, twin="ARG B\nFROM ${B:-$I}\n" + STEAL),
    Dockerfile(
        "argument-null",
        "ARG B=alpine\nFROM ${B:-$I}\n" + STEAL,
        query='&buildargs={"B":null}',
        twin="ARG B=$I\nFROM ${B:-alpine}\n" + STEAL,
    ),
    Dockerfile("argument-declared-again", "ARG B=alpine\nARG B\nFROM ${B:-$I}\n" + STEAL, twin="ARG B=$I\nFROM ${B}\n" + STEAL),
    Dockerfile(
        "argument-built-in",
        "FROM ${HTTP_PROXY:-alpine}\n" + STEAL,
        query='&buildargs={"HTTP_PROXY":"$I"}',
        twin="ARG B\nFROM ${B:-alpine}\nCOPY --from=$I /who /who\n" + STEAL,
        twin_query='&buildargs={"B":"$I"}',
    ),
    Dockerfile(
        "argument-built-in-lower", "FROM ${no_proxy:-alpine}\n" + STEAL, query='&buildargs={"no_proxy":"$I"}', twin="FROM $I\n" + STEAL
    ),
    Dockerfile("argument-plus", "ARG B=x\nFROM ${B:+$I}\n" + STEAL, twin="ARG B=x\nARG C=$I\nFROM ${C}\n" + STEAL),
    Dockerfile("argument-in-argument", "ARG A=$R\nARG B=${A}:v1\nFROM ${B}\n" + STEAL),
    Dockerfile("argument-quoted", 'ARG B="$I"\nFROM ${B}\n' + STEAL),
    Dockerfile(
        "argument-after-from-shadows",
        "ARG B=alpine\nFROM alpine\nARG B=$I\nFROM ${B}\n" + STEAL,
        twin="ARG B=$I\nFROM alpine\nARG B\nFROM ${B}\n" + STEAL,
    ),
    Dockerfile(
        "argument-name-in-two-cases", "ARG b=$I\nARG B=alpine\nFROM ${b}\n" + STEAL, twin="ARG b=alpine\nARG B=$I\nFROM ${B}\n" + STEAL
    ),
    Dockerfile("two-arguments-in-a-line", "ARG A=alpine B=$I\nFROM ${B}\n" + STEAL, twin="ARG B=$I\nFROM ${B}\n" + STEAL),
    Dockerfile("platform-then-from", f"FROM --platform=linux/amd64 $I\n{STEAL}"),
    Dockerfile("from-by-short-id", f"FROM $S\n{STEAL}"),
    Dockerfile("from-by-id", f"FROM $D\n{STEAL}", twin=f"FROM $S\n{STEAL}"),
    Dockerfile("from-fully-qualified", f"FROM docker.io/library/$I\n{STEAL}"),
    Dockerfile("from-index", f"FROM index.docker.io/library/$I\n{STEAL}", twin=f"FROM docker.io/library/$I\n{STEAL}"),
    Dockerfile(
        "copy-from-bytes-like-spaces",
        f"FROM ashupasswd\nCOPY --chown=\u00e0--from=$I /who /stolen\n{COPIED}",
        twin=f"FROM alpine\nCOPY --chown=0 --from=$I /who /stolen\n{COPIED}",
    ),
    Dockerfile(
        "copy-from-quoted-flag",
        f'FROM alpine\nCOPY --from="$I" /who /stolen\n{COPIED}',
        twin=f"FROM alpine\nCOPY --from=$I /who /stolen\n{COPIED}",
    ),
    Dockerfile("copy-from-escaped-flag", f"FROM alpine\nCOPY \\\n--from=$I /who /stolen\n{COPIED}"),
    Dockerfile(
        "copy-from-split-word",
        f"FROM alpine\nCOPY --fr\\\nom=$I /who /stolen\n{COPIED}",
        twin=f"FROM alpine\nCOPY --from=$I /who /stolen\n{COPIED}",
    ),
    Dockerfile(
        "copy-from-variable",
        f"FROM alpine\nARG B=$I\nCOPY --from=${{B}} /who /stolen\n{COPIED}",
        twin=f"FROM alpine\nCOPY --from=$I /who /stolen\n{COPIED}",
    ),
    Dockerfile("copy-from-json", f'FROM alpine\nCOPY --from=$I ["/who", "/stolen"]\n{COPIED}'),
    Dockerfile(
        "run-mount-from",
        "FROM alpine\nRUN --mount=type=bind,from=$I,target=/m cat /m/who\n",
        twin=f"FROM alpine\nCOPY --from=$I /who /stolen\n{COPIED}",
    ),
    Dockerfile("here-document-hides-from", f"FROM alpine\nRUN <<'E\\'\ntrue\nE\\\nFROM $I\n{STEAL}", twin=f"FROM $I\n{STEAL}"),
    Dockerfile("here-document-copy", f"FROM alpine\nCOPY <<'E\\' /x\ntrue\nE\\\nFROM $I\n{STEAL}", twin=f"FROM $I\n{STEAL}"),
    Dockerfile("cache-from", "FROM alpine\nRUN true\n", query='&cachefrom=["$I"]'),
    Dockerfile("cache-from-id", "FROM alpine\nRUN true\n", query='&cachefrom=["$D"]'),
    Dockerfile(
        "add-of-a-file-url",
        "FROM alpine\nADD file:///etc/planted-canary /x\nRUN cat /x\n",
        twin="FROM alpine\nADD note /x\nRUN cat /x\n",
        files={"note": b"n"},
    ),
    Dockerfile(
        "add-of-an-address",
        "FROM alpine\nADD http://127.0.0.1:1/ /x\n",
        twin="FROM alpine\nADD note /x\nRUN cat /x\n",
        files={"note": b"n"},
    ),
    Dockerfile(
        "add-of-the-parent",
        "FROM alpine\nADD ../../../../../etc/planted-canary /x\nRUN cat /x\n",
        twin="FROM alpine\nADD note /x\nRUN cat /x\n",
        files={"note": b"n"},
    ),
    Dockerfile(
        "add-of-an-absolute-path",
        "FROM alpine\nADD /etc/planted-canary /x\nRUN cat /x\n",
        twin="FROM alpine\nADD /note /x\nRUN cat /x\n",
        files={"note": b"n"},
    ),
    Dockerfile("remote", "", query="&remote=http://127.0.0.1:1/x.git", twin="FROM alpine\nRUN true\n", twin_query="&remote="),
    Dockerfile("network-host", "FROM alpine\nRUN cat /proc/net/unix\n", query="&networkmode=host", twin_query="&networkmode=none"),
    Dockerfile("network-of-a-container", "FROM alpine\nRUN true\n", query="&networkmode=container:$C", twin_query="&networkmode=$N"),
    Dockerfile("network-of-another", "FROM alpine\nRUN true\n", query="&networkmode=$N"),
    Dockerfile("cgroup-parent", "FROM alpine\nRUN true\n", query="&cgroupparent=/outside", twin_query="&cgroupparent="),
    Dockerfile("security-options", "FROM alpine\nRUN true\n", query='&securityopt=["seccomp=unconfined"]', twin_query="&securityopt=null"),
    Dockerfile("isolation", "FROM alpine\nRUN true\n", query="&isolation=process", twin_query="&isolation="),
    Dockerfile(
        "outputs", "FROM alpine\nRUN true\n", query='&outputs=[{"Type":"local","Attrs":{"dest":"/tmp/planted"}}]', twin_query="&outputs="
    ),
    Dockerfile("session", "FROM alpine\nRUN true\n", query="&session=abc", twin_query="&session="),
    Dockerfile("version-two", "FROM alpine\nRUN true\n", query="&version=2", twin_query="&version=1"),
    Dockerfile(
        "dockerfile-outside",
        "FROM alpine\nRUN true\n",
        query="&dockerfile=../../../../etc/planted-canary",
        twin_query="&dockerfile=Dockerfile",
    ),
    Dockerfile(
        "dockerfile-absolute", "FROM alpine\nRUN true\n", query="&dockerfile=/etc/planted-canary", twin_query="&dockerfile=./Dockerfile"
    ),
    Dockerfile("tag-of-another", "FROM alpine\nRUN true\n", query="&t=$I", twin_query="&t=ashunew:v1"),
    Dockerfile("tag-of-the-host", "FROM alpine\nRUN true\n", query="&t=alpine", twin_query="&t=ashunew"),
    Dockerfile(
        "tag-of-the-host-qualified",
        "FROM alpine\nRUN true\n",
        query="&t=docker.io/library/mysql:latest",
        twin_query="&t=docker.io/ashu/new:latest",
    ),
    Dockerfile("one-of-two-tags", "FROM alpine\nRUN true\n", query="&t=ashunew:v1&t=$I", twin_query="&t=ashunew:v1&t=ashunew:v2"),
    Dockerfile("reserved-label", "FROM alpine\nRUN true\n", query='&labels={"io.hostadmin.owner":"x"}', twin_query='&labels={"owner":"x"}'),
    Dockerfile("says-it-built-by-name", "FROM alpine\nRUN echo Successfully built $I\n", twin="FROM $I\nRUN echo Successfully built it\n"),
    Dockerfile(
        "says-it-built-by-id", "FROM alpine\nRUN echo $D; echo Successfully built $S\n", twin="FROM $I\nRUN echo Successfully built it\n"
    ),
]
