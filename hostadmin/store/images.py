"""Who holds which image, and whose each tag is. An image is shared data; a tag is an owned reference."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from hostadmin.core.clock import timestamp
from hostadmin.store.database import Tx
from hostadmin.store.tables import image_holders, image_tags


def tag_owners(tx: Tx) -> dict[str, str | None]:
    """Return tag → account id of its owner (``None``: the host's)."""
    return {row.tag: row.owner_id for row in tx.execute(select(image_tags.c.tag, image_tags.c.owner_id))}


def known_tags(tx: Tx) -> dict[str, str]:
    """Return tag → image id, as last recorded."""
    return {row.tag: row.image_id for row in tx.execute(select(image_tags.c.tag, image_tags.c.image_id))}


def put_tag(tx: Tx, tag: str, image_id: str, owner_id: str | None) -> None:
    """Record that ``tag`` names ``image_id`` and is ``owner_id``'s. The owner of a known tag stays."""
    values = {"tag": tag, "image_id": image_id, "owner_id": owner_id, "updated_at": timestamp()}
    tx.execute(
        insert(image_tags)
        .values(**values)
        .on_conflict_do_update(index_elements=["tag"], set_={"image_id": image_id, "updated_at": values["updated_at"]})
    )


def drop_tags(tx: Tx, tags: list[str], *, before: str | None = None) -> None:
    """Forget tags that are no longer there; with ``before`` only those that have not been set since."""
    older = () if before is None else (image_tags.c.updated_at < before,)
    for tag in tags:
        tx.execute(delete(image_tags).where(image_tags.c.tag == tag, *older))


def holders(tx: Tx, image_id: str) -> set[str]:
    """Return the account ids that hold an image."""
    query = select(image_holders.c.user_id).where(image_holders.c.image_id == image_id)
    return {user for (user,) in tx.execute(query)}


def held_by(tx: Tx, user_id: str) -> set[str]:
    """Return the ids of all images that an account holds."""
    query = select(image_holders.c.image_id).where(image_holders.c.user_id == user_id)
    return {image for (image,) in tx.execute(query)}


def all_held(tx: Tx) -> set[str]:
    """Return the ids of all images that anybody holds: none of them is public by default."""
    return {image for (image,) in tx.execute(select(image_holders.c.image_id).distinct())}


def hold(tx: Tx, image_id: str, user_id: str, how: str) -> None:
    """Record that an account holds an image (idempotent). ``how``: build, load, pull, import, commit, tag."""
    values = {"image_id": image_id, "user_id": user_id, "how": how, "since": timestamp()}
    tx.execute(
        insert(image_holders)
        .values(**values)
        .on_conflict_do_update(index_elements=["image_id", "user_id"], set_={"since": values["since"]})
    )


def release(tx: Tx, image_id: str, user_id: str) -> None:
    """Record that an account no longer holds an image."""
    tx.execute(delete(image_holders).where(image_holders.c.image_id == image_id, image_holders.c.user_id == user_id))


def forget(tx: Tx, image_id: str, *, before: str | None = None) -> None:
    """Forget all holders of an image that is gone; with ``before`` only those who have not got it since."""
    older = () if before is None else (image_holders.c.since < before,)
    tx.execute(delete(image_holders).where(image_holders.c.image_id == image_id, *older))
