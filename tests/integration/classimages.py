"""The class day's images without a registry: busybox under the names that the log pulls.

``alpine`` is a busybox with a shell as its command; ``mysql`` and ``adminer`` behave as the log's compose
file sees them (entrypoints, ports, a page); ``python`` has a ``pip`` and a ``python`` that serve the log's
flask file, so that its Dockerfile is built as it stands there.
"""

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Final

BUSYBOX: Final = "/bin/busybox"  # Debian's busybox-static
_TRAP: Final = "trap 'exit 0' TERM INT\n"
_WAIT: Final = "while :; do sleep 1000 & wait $!; done\n"
_MYSQL: Final = (
    "#!/bin/sh\n" + _TRAP + '[ -n "$MYSQL_ROOT_PASSWORD" ] || { echo "no password" >&2; exit 1; }\n'
    'echo "$* : ready for connections"\n' + _WAIT
)
_ADMINER: Final = (
    "#!/bin/sh\n" + _TRAP + "mkdir -p /www; echo '<title>Login - Adminer</title>' >/www/index.html\nhttpd -p 8080 -h /www\n" + _WAIT
)
_PIP: Final = '#!/bin/sh\n[ "$1 $2" = \'install -r\' ] && echo Successfully installed $(cat "$3")\n'
_PYTHON: Final = (
    "#!/bin/sh\n" + _TRAP + 'mkdir -p /www; sed -n \'s/.*return "\\(.*\\)".*/\\1/p\' "$1" >/www/index.html\nhttpd -p 5000 -h /www\n' + _WAIT
)
IMAGES: Final[dict[str, tuple[dict[str, str], tuple[str, ...]]]] = {
    "alpine": ({}, ('CMD ["/bin/sh"]',)),
    "mysql": (
        {"bin/docker-entrypoint.sh": _MYSQL},
        ('ENTRYPOINT ["docker-entrypoint.sh"]', 'CMD ["mysqld"]', "EXPOSE 3306 33060"),
    ),
    "adminer": (
        {"bin/entrypoint.sh": _ADMINER},
        ('ENTRYPOINT ["entrypoint.sh"]', 'CMD ["docker-php-entrypoint", "php"]', "EXPOSE 8080"),
    ),
    "python": ({"bin/pip": _PIP, "bin/python": _PYTHON}, ('CMD ["python"]',)),
}


def root_filesystem(scripts: dict[str, str]) -> bytes:
    """Return a tar of a small root: busybox, its applets, ``scripts`` and what a container needs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "etc", "tmp", "root", "proc", "sys", "dev", "var", "home"):
            _add(tar, name, None, 0o1777 if name == "tmp" else 0o755)
        _add(tar, "bin/busybox", Path(BUSYBOX).read_bytes(), 0o755)
        applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in set(applets) - {"busybox"}:
            info = tarfile.TarInfo(f"bin/{applet}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", 0o644)
        _add(tar, "etc/group", b"root:x:0:\n", 0o644)
        for name, text in scripts.items():
            _add(tar, name, text.encode(), 0o755)
    return out.getvalue()


def make_images(socket: str) -> None:
    """Give the engine at ``socket`` all images of the class day, as the host's own."""
    for name, (scripts, changes) in IMAGES.items():
        argv = ["docker", "-H", f"unix://{socket}", "import", *(a for c in changes for a in ("-c", c))]
        subprocess.run(
            [*argv, "-c", "ENV PATH=/bin", "-", f"{name}:latest"], input=root_filesystem(scripts), check=True, capture_output=True
        )


def _add(tar: tarfile.TarFile, name: str, content: bytes | None, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = mode, 1_649_049_000  # 2022-04-04, the day of the log
    if content is None:
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    else:
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
