"""Names that hostadmin accepts: logins (``accounts.md`` 2.3), object names (moby ``daemon/names.go``)."""

import re
from typing import Final

from hostadmin.core.errors import Invalid

LOGIN: Final = re.compile(r"[a-z][a-z0-9_-]{0,30}")
"""Safe for adduser, utmp and systemd alike: at most 31 characters."""

OBJECT_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
FULL_ID: Final = re.compile(r"[0-9a-f]{64}")
RESTART_POLICIES: Final = ("no", "on-failure", "unless-stopped", "always")

RESERVED_LOGINS: Final = frozenset(
    [
        "root",
        "daemon",
        "bin",
        "sys",
        "sync",
        "games",
        "man",
        "lp",
        "mail",
        "news",
        "uucp",
        "proxy",
        "www-data",
        "backup",
        "list",
        "irc",
        "gnats",
        "nobody",
        "nogroup",
        "adm",
        "tty",
        "disk",
        "kmem",
        "dialout",
        "fax",
        "voice",
        "cdrom",
        "floppy",
        "tape",
        "sudo",
        "audio",
        "dip",
        "operator",
        "src",
        "shadow",
        "utmp",
        "video",
        "sasl",
        "plugdev",
        "staff",
        "users",
        "input",
        "kvm",
        "render",
        "crontab",
        "netdev",
        "sgx",
        "ssh",
        "ssl-cert",
        "messagebus",
        "systemd-network",
        "systemd-resolve",
        "systemd-timesync",
        "systemd-coredump",
        "systemd-journal",
        "sshd",
        "polkitd",
        "avahi",
        "docker",
        "dockremap",
        "containerd",
        "hostadmin",
        "wheel",
        "admin",
        "administrator",
        "default",
        "self",
        "all",
        "none",
        "me",
        "_apt",
        "uuidd",
        "tcpdump",
        "ntp",
        "postfix",
        "dnsmasq",
        "libvirt",
        "mysql",
        "postgres",
        "redis",
        "nginx",
    ]
)


def check_login(login: str) -> str:
    """Return ``login`` if a managed account may have that name.

    Raises:
        Invalid: with the rule that it breaks.

    """
    if not LOGIN.fullmatch(login):
        raise Invalid(
            f"Refused login name {login[:64]!r}: a name is a lower-case letter, then at most 30 of a-z, 0-9, '_' and '-'.",
            key="login-name",
        )
    if login in RESERVED_LOGINS:
        raise Invalid(
            f"Refused login name {login!r}: it belongs to the system. Choose another one.",
            key="login-reserved",
        )
    return login
