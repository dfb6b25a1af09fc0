"""What each rule word does. One table from word to function; the functions stand by noun."""

from collections.abc import Awaitable, Callable
from typing import Final

from hostadmin.guard.exchange import Exchange
from hostadmin.guard.routes import Rule
from hostadmin.guard.rules import (
    admin,
    builds,
    containers,
    creation,
    events,
    execs,
    imageremoval,
    images,
    incoming,
    networks,
    observe,
    prunes,
    quotas,
    refusals,
    registries,
    system,
    usage,
    volumes,
    websockets,
)

HANDLERS: Final[dict[Rule, Callable[[Exchange], Awaitable[None]]]] = {
    Rule.PING: system.ping,
    Rule.VERSION: system.version,
    Rule.INFO: system.info,
    Rule.EVENTS: events.events,
    Rule.CONTAINER_LIST: containers.list_own,
    Rule.CONTAINER_CREATE: creation.create,
    Rule.CONTAINER_INSPECT: containers.inspect,
    Rule.CONTAINER_READ: containers.read,
    Rule.CONTAINER_CHANGE: containers.change,
    Rule.CONTAINER_START: containers.start,
    Rule.CONTAINER_RENAME: containers.rename,
    Rule.CONTAINER_UPDATE: containers.update,
    Rule.CONTAINER_REMOVE: containers.remove,
    Rule.CONTAINER_ATTACH: execs.attach,
    Rule.CONTAINER_WEBSOCKET: websockets.attach,
    Rule.CONTAINER_UPLOAD: containers.upload,
    Rule.EXEC_CREATE: execs.create,
    Rule.EXEC_START: execs.start,
    Rule.EXEC_READ: execs.read,
    Rule.IMAGE_LIST: images.list_visible,
    Rule.IMAGE_READ: images.read,
    Rule.IMAGE_SAVE: images.save,
    Rule.IMAGE_SAVE_MANY: images.save_many,
    Rule.IMAGE_TAG: images.tag,
    Rule.IMAGE_REMOVE: imageremoval.remove,
    Rule.IMAGE_CREATE: registries.create,
    Rule.IMAGE_LOAD: incoming.load,
    Rule.IMAGE_COMMIT: incoming.commit,
    Rule.IMAGE_PUSH: registries.push,
    Rule.IMAGE_SEARCH: registries.search,
    Rule.REGISTRY_INSPECT: registries.inspect,
    Rule.REGISTRY_LOGIN: registries.sign_in,
    Rule.BUILD: builds.build,
    Rule.NETWORK_LIST: networks.list_visible,
    Rule.NETWORK_INSPECT: networks.inspect,
    Rule.NETWORK_CREATE: networks.create,
    Rule.NETWORK_CONNECT: networks.connect,
    Rule.NETWORK_REMOVE: networks.remove,
    Rule.VOLUME_LIST: volumes.list_own,
    Rule.VOLUME_INSPECT: volumes.inspect,
    Rule.VOLUME_CREATE: volumes.create,
    Rule.VOLUME_REMOVE: volumes.remove,
    Rule.CONTAINER_PRUNE: prunes.containers,
    Rule.IMAGE_PRUNE: prunes.prune_images,
    Rule.NETWORK_PRUNE: prunes.networks,
    Rule.VOLUME_PRUNE: prunes.volumes,
    Rule.BUILD_PRUNE: prunes.nothing,
    Rule.DISK_USAGE: usage.disk_usage,
    Rule.EMPTY_LIST: refusals.empty_list,
    Rule.NO_SUCH_PLUGIN: refusals.no_such_plugin,
    Rule.NO_SWARM: refusals.no_swarm,
    Rule.REFUSED: refusals.refused,
}
SAME_FOR_ALL: Final = frozenset({Rule.PING, Rule.VERSION})


async def _judge(x: Exchange) -> None:
    if x.route.rule in quotas.BRINGS_IMAGES:
        await quotas.check_images(x)
    await HANDLERS[x.route.rule](x)


async def apply(x: Exchange) -> None:
    """Judge, forward and answer one request by its row's rule."""
    if x.caller.admin and x.route.rule not in SAME_FOR_ALL:
        await admin.pass_on(x)
    elif x.guard.observing:
        await observe.apply(x, _judge)
    else:
        await _judge(x)
