"""Every action that the audit knows, in one list; a test sees to it that each is used."""

from enum import StrEnum


class Action(StrEnum):
    """``noun.verb``; guard operations use the Engine API's nouns."""

    CONTAINER_CREATE = "container.create"
    CONTAINER_START = "container.start"
    CONTAINER_STOP = "container.stop"
    CONTAINER_RESTART = "container.restart"
    CONTAINER_KILL = "container.kill"
    CONTAINER_PAUSE = "container.pause"
    CONTAINER_UNPAUSE = "container.unpause"
    CONTAINER_RENAME = "container.rename"
    CONTAINER_UPDATE = "container.update"
    CONTAINER_REMOVE = "container.remove"
    CONTAINER_PRUNE = "container.prune"
    CONTAINER_ATTACH = "container.attach"
    CONTAINER_ARCHIVE_PUT = "container.archive.put"
    CONTAINER_COMMIT = "container.commit"
    EXEC_CREATE = "exec.create"
    EXEC_START = "exec.start"
    IMAGE_PULL = "image.pull"
    IMAGE_IMPORT = "image.import"
    IMAGE_LOAD = "image.load"
    IMAGE_BUILD = "image.build"
    IMAGE_PUSH = "image.push"
    IMAGE_TAG = "image.tag"
    IMAGE_REMOVE = "image.remove"
    IMAGE_PRUNE = "image.prune"
    REGISTRY_LOGIN = "registry.login"
    NETWORK_CREATE = "network.create"
    NETWORK_CONNECT = "network.connect"
    NETWORK_DISCONNECT = "network.disconnect"
    NETWORK_REMOVE = "network.remove"
    NETWORK_PRUNE = "network.prune"
    VOLUME_CREATE = "volume.create"
    VOLUME_REMOVE = "volume.remove"
    VOLUME_PRUNE = "volume.prune"
    REQUEST_REFUSE = "request.refuse"  # what matches no row, or is not HTTP
    ADMIN_OPERATION = "admin.operation"  # what only an administrator may do; detail: the operation
    OPERATION_REFUSE = "operation.refuse"  # a row that refuses
    READ_REFUSE = "read.refuse"  # a read of what is not the caller's
    ACCESS_CHECK = "access.check"  # a caller without access, or an unknown one

    USER_ADD = "user.add"
    USER_ADOPT = "user.adopt"
    USER_SET = "user.set"
    USER_LOCK = "user.lock"
    USER_UNLOCK = "user.unlock"
    USER_EXPIRE = "user.expire"
    USER_LEAVE = "user.leave"
    USER_REMOVE = "user.remove"
    USER_RELEASE = "user.release"  # an adopted account is not managed any more
    ARCHIVE_REMOVE = "archive.remove"  # a removed account's home, whose time is over
    USER_PASSWD = "user.passwd"  # noqa: S105  # the action, not a password
    ACCESS_GRANT = "access.grant"
    ACCESS_REVOKE = "access.revoke"
    ROSTER_APPLY = "roster.apply"
    ROSTER_UNDO = "roster.undo"
    COHORT_CHANGE = "cohort.change"  # made, or its profile or days set
    COHORT_END = "cohort.end"
    CARDS_FETCH = "cards.fetch"  # passwords in clear were handed out
    ACCESS_ADOPT = "access.adopt"  # the ledger follows a membership that was changed by hand
    ACCESS_RESTORE = "access.restore"  # such a membership is put back
    ACCESS_DRIFT = "access.drift"  # such a membership was noticed, and is left
    OWNER_SET = "owner.set"
    RESTART_CORRECT = "restart.correct"
    RESTART_RELEASE = "restart.release"
    CLEANUP_RUN = "cleanup.run"
    CLEANUP_STEP = "cleanup.step"
    RESET_RUN = "reset.run"  # everything of a set of accounts is taken away; its items are removals of their own
    RESET_UNDO = "reset.undo"  # and brought back; its items are creates of their own
    RESET_PURGE = "reset.purge"  # what was kept for that goes for good
    JOB_RUN = "job.run"
    ENGINE_SOCKET_CLOSE = "engine.socket.close"
    ENGINE_SOCKET_OPEN = "engine.socket.open"
    GUARD_START = "guard.start"  # detail: the mode
    SERVICE_START = "service.start"
    SERVICE_STOP = "service.stop"
