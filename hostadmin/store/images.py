"""Who holds which image, and whose each tag is. An image is shared data; a tag is an owned reference."""

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.sqlite import insert

from hostadmin.core.clock import timestamp
from hostadmin.store.database import Tx
from hostadmin.store.tables import image_holders, image_names, image_tags


def tag_owners(tx: Tx) -> dict[str, str | None]:
    """Return tag → account id of its owner (``None``: the host's)."""
    return {row.tag: row.owner_id for row in tx.execute(select(image_tags.c.tag, image_tags.c.owner_id))}


def known_tags(tx: Tx) -> dict[str, str]:
    """Return tag → image id, as last recorded."""
    return {row.tag: row.image_id for row in tx.execute(select(image_tags.c.tag, image_tags.c.image_id))}


def tag_since(tx: Tx, tag: str) -> str:
    """Return when a tag was claimed or set for the last time; what is not known never was."""
    return str(tx.execute(select(image_tags.c.updated_at).where(image_tags.c.tag == tag)).scalar() or "9999")


def names_of(tx: Tx, user_id: str) -> dict[str, str]:
    """Return name → image id of what registries gave to an account under names that it does not own."""
    query = select(image_names.c.name, image_names.c.image_id).where(image_names.c.user_id == user_id)
    return {row.name: row.image_id for row in tx.execute(query)}


def put_name(tx: Tx, name: str, image_id: str, user_id: str) -> None:
    """Record that a registry gave an image to an account under this name (a tag, or ``repository@digest``)."""
    values = {"name": name, "user_id": user_id, "image_id": image_id}
    tx.execute(insert(image_names).values(**values).on_conflict_do_update(index_elements=["name", "user_id"], set_={"image_id": image_id}))


def drop_name(tx: Tx, name: str, user_id: str) -> None:
    """Forget that an account was given an image under this name."""
    tx.execute(delete(image_names).where(image_names.c.name == name, image_names.c.user_id == user_id))


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


def drop_old_claims(tx: Tx, before: str) -> None:
    """Forget tags that were claimed before that time and that the engine has never set."""
    tx.execute(delete(image_tags).where(image_tags.c.image_id == "", image_tags.c.updated_at < before))


def holders(tx: Tx, image_id: str) -> set[str]:
    """Return the account ids that hold an image."""
    query = select(image_holders.c.user_id).where(image_holders.c.image_id == image_id)
    return {user for (user,) in tx.execute(query)}


def held_by(tx: Tx, user_id: str) -> set[str]:
    """Return the ids of all images that an account holds."""
    query = select(image_holders.c.image_id).where(image_holders.c.user_id == user_id)
    return {image for (image,) in tx.execute(query)}


def held_alone(tx: Tx, user_id: str) -> set[str]:
    """Return the ids of all images that an account holds and nobody else does."""
    query = select(image_holders.c.image_id).group_by(image_holders.c.image_id)
    return {image for (image,) in tx.execute(query.having(func.count() == 1, func.max(image_holders.c.user_id) == user_id))}


def newest_held(tx: Tx, user_id: str, limit: int) -> list[str]:
    """Return the ids of the images that an account got last, newest first."""
    query = select(image_holders.c.image_id).where(image_holders.c.user_id == user_id)
    return [image for (image,) in tx.execute(query.order_by(image_holders.c.since.desc()).limit(limit))]


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
    """Record that an account no longer holds an image, under whatever name."""
    tx.execute(delete(image_names).where(image_names.c.image_id == image_id, image_names.c.user_id == user_id))
    tx.execute(delete(image_holders).where(image_holders.c.image_id == image_id, image_holders.c.user_id == user_id))


def forget(tx: Tx, image_id: str, *, before: str | None = None) -> None:
    """Forget all holders of an image that is gone; with ``before`` only those who have not got it since."""
    older = () if before is None else (image_holders.c.since < before,)
    if before is None:
        tx.execute(delete(image_names).where(image_names.c.image_id == image_id))
    tx.execute(delete(image_holders).where(image_holders.c.image_id == image_id, *older))
