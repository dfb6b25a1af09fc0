"""What quotas are counted from: the sizes of held images, and blocks of host ports."""

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or

from hostadmin.core.values import Kind, UserState
from hostadmin.store import objects
from hostadmin.store.database import Tx
from hostadmin.store.tables import image_holders, image_sizes, image_tags, port_blocks, users


def image_bytes(tx: Tx, user_id: str) -> dict[str, int | None]:
    """Return image id → own bytes of every image that an account holds and the host does not provide.

    ``None``: the size is not known yet.
    """
    hosts = select(image_tags.c.image_id).where(image_tags.c.owner_id.is_(None))
    query = (
        select(image_holders.c.image_id, image_sizes.c.own_bytes)
        .select_from(image_holders.outerjoin(image_sizes, image_sizes.c.image_id == image_holders.c.image_id))
        .where(image_holders.c.user_id == user_id, image_holders.c.image_id.not_in(hosts))
    )
    return {row.image_id: row.own_bytes for row in tx.execute(query)}


def put_image_sizes(tx: Tx, sizes: dict[str, int]) -> None:
    """Record the own bytes of images."""
    for image, own in sizes.items():
        tx.execute(insert_or(image_sizes).values(image_id=image, own_bytes=own).on_conflict_do_nothing())


def named_ports(tx: Tx, user_id: str | None) -> list[int]:
    """Return the host ports that the containers of an account name; ``None``: of everybody."""
    found = objects.list_objects(tx, Kind.CONTAINER, owner_id=user_id)
    return [port for item in found for port in item.detail.get("named_ports", [])]


def port_blocks_of_all(tx: Tx, *, removed: bool = False) -> dict[str, tuple[int, int]]:
    """Return account id → first and last port, of every living account that has a block; of removed ones only when asked."""
    query = select(port_blocks.c.user_id, port_blocks.c.first, port_blocks.c.last).join(users, users.c.id == port_blocks.c.user_id)
    if not removed:
        query = query.where(users.c.state != UserState.REMOVED)
    return {row.user_id: (row.first, row.last) for row in tx.execute(query)}


def find_port_block(tx: Tx, user_id: str) -> tuple[int, int] | None:
    """Return the first and last port of an account's block, if it has one."""
    row = tx.execute(select(port_blocks.c.first, port_blocks.c.last).where(port_blocks.c.user_id == user_id)).first()
    return (row.first, row.last) if row else None


def put_port_block(tx: Tx, user_id: str, block: tuple[int, int] | None) -> None:
    """Give an account a block of ports instead of the one it had; ``None``: take it away."""
    tx.execute(delete(port_blocks).where(port_blocks.c.user_id == user_id))
    if block is not None:
        tx.execute(insert(port_blocks).values(user_id=user_id, first=block[0], last=block[1]))
