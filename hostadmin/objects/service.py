"""What an administrator sees of objects and does with them; every change is recorded before it is done."""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from hostadmin.audit.actions import Action
from hostadmin.audit.journal import Entry, Journal, Target
from hostadmin.core.errors import Conflict, HostadminError, Invalid, NotFound
from hostadmin.core.images import familiar
from hostadmin.core.values import Actor, Attribution, Kind
from hostadmin.engine.client import Engine
from hostadmin.objects.hostview import container_view, network_view
from hostadmin.policy.restarts import parse_restart_policy
from hostadmin.store import images, objects, users
from hostadmin.store.database import Database, Tx

REMOVE: Final = {
    Kind.CONTAINER: Action.CONTAINER_REMOVE,
    Kind.NETWORK: Action.NETWORK_REMOVE,
    Kind.VOLUME: Action.VOLUME_REMOVE,
    Kind.IMAGE: Action.IMAGE_REMOVE,
}

RUNNING: Final = ("running", "paused", "restarting")


class Objects:
    """Containers, networks, volumes and images with their owners."""

    def __init__(self, database: Database, journal: Journal, engine: Engine) -> None:
        self.database = database
        self.journal = journal
        self.engine = engine

    # -- looking ----------------------------------------------------------------------------

    def list(self, kind: Kind, *, owner: str | None = None) -> Sequence[dict[str, Any]]:
        """Return the present objects of a kind, of one owner (login) if given.

        Raises:
            NotFound: there is no such account.

        """
        with self.database.read() as tx:
            owner_id = self._user(tx, owner).id if owner is not None else None
            return [_view(o) for o in objects.list_objects(tx, kind, owner_id=owner_id)]

    def find(self, kind: Kind, ref: str) -> objects.Object:
        """Return the one object with that name, id, or beginning of an id.

        Raises:
            NotFound: there is none.
            Conflict: there are several.

        """
        with self.database.read() as tx:
            found = objects.match(tx, kind, ref)
        if not found:
            raise NotFound(f"There is no {kind} {ref!r}.", key=f"{kind}-not-found")
        if len(found) > 1:
            names = ", ".join(f"{o.name} ({o.ref[:12]})" for o in found[:5])
            raise Conflict(f"{ref!r} means several {kind}s: {names}. Give more of the id.", key="ambiguous")
        return found[0]

    def show(self, kind: Kind, ref: str) -> "dict[str, Any]":
        """Return everything about one object; of containers and networks the host-side view.

        Raises:
            NotFound, Conflict: as ``find``.
            Unavailable: the engine does not answer.

        """
        found = self.find(kind, ref)
        view = _view(found)
        if kind is Kind.CONTAINER:
            return {**view, **container_view(self.engine.inspect_container(found.ref))}
        if kind is Kind.NETWORK:
            with self.database.read() as tx:
                owned = objects.owners(tx, Kind.CONTAINER)
                logins = {u.id: u.login for u in users.all_users(tx, removed=True)}
            who = {ref: logins.get(owner, "") for ref, owner in owned.items()}
            return {**view, **network_view(self.engine.inspect_network(found.ref), who)}
        if kind is Kind.VOLUME:
            volume = self.engine.inspect_volume(found.ref)
            return {**view, "mountpoint": volume.get("Mountpoint"), "labels": volume.get("Labels") or {}}
        return {**view, **self._image(found)}

    def _image(self, found: objects.Object) -> "dict[str, Any]":
        image = self.engine.inspect_image(found.ref)
        with self.database.read() as tx:
            logins = {u.id: u.login for u in users.all_users(tx, removed=True)}
            held = sorted(logins.get(h, h) for h in images.holders(tx, found.ref))
            owners = images.tag_owners(tx)
            known = images.known_tags(tx)
        tags = {familiar(t): logins.get(owners[t] or "", "") or None for t, i in known.items() if i == found.ref}
        return {"created": image.get("Created"), "size": image.get("Size"), "holders": held, "tags": tags}

    # -- acting -----------------------------------------------------------------------------

    def set_owner(self, actor: Actor, kind: Kind, ref: str, login: str | None) -> "dict[str, Any]":
        """Give an object to an account, or to nobody.

        Raises:
            NotFound, Conflict: no such object or account, or several.

        """
        found = self.find(kind, ref)
        with self.database.read() as tx:
            user = self._user(tx, login) if login else None
        attribution = Attribution.ADMIN if user else Attribution.UNKNOWN

        def rows(tx: Tx) -> None:
            if kind is Kind.IMAGE:
                _give_image(tx, found, user)
            objects.set_owner(tx, kind, found.ref, user.id if user else None, attribution)

        entry = Entry(actor, Action.OWNER_SET, _target(found), "admin", {"from": found.owner, "to": login})
        self.journal.outcome(self.journal.intent(entry), "ok", also=rows)
        return _view(self.find(kind, found.ref))

    def remove(self, actor: Actor, kind: Kind, ref: str) -> None:
        """Remove an object; containers by force, images never."""
        self._remove(actor, self.find(kind, ref))

    def start(self, actor: Actor, ref: str) -> None:
        """Start a container."""
        self._container(actor, Action.CONTAINER_START, ref, self.engine.start_container)

    def stop(self, actor: Actor, ref: str) -> None:
        """Stop a container."""
        self._container(actor, Action.CONTAINER_STOP, ref, self.engine.stop_container)

    def running_of(self, user_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return account id → full ids of its containers that run now, paused and restarting ones too, as the engine says.

        Raises:
            Unavailable: the engine does not answer.

        """
        with self.database.read() as tx:
            owners = objects.owners(tx, Kind.CONTAINER)
        found: dict[str, list[str]] = {}
        for container in self.engine.list_containers():
            owner = owners.get(container["Id"])
            if owner is not None and owner in user_ids and container.get("State") in RUNNING:
                found.setdefault(owner, []).append(container["Id"])
        return found

    def paused(self, refs: Collection[str]) -> Collection[str]:
        """Return which of these containers are paused, as the engine says.

        Raises:
            Unavailable: the engine does not answer.

        """
        return {c["Id"] for c in self.engine.list_containers({"status": ["paused"]}) if c["Id"] in refs}

    def pause(self, actor: Actor, ref: str) -> None:
        """Pause a container."""
        self._container(actor, Action.CONTAINER_PAUSE, ref, self.engine.pause_container)

    def restart(self, actor: Actor, ref: str) -> None:
        """Restart a container."""
        self._container(actor, Action.CONTAINER_RESTART, ref, self.engine.restart_container)

    def set_restart_policy(self, actor: Actor, ref: str, policy: str) -> None:
        """Set a container's restart policy.

        Raises:
            Invalid: no such policy.

        """
        parsed = parse_restart_policy(policy)
        if parsed is None:
            raise Invalid(f"{policy!r} is no restart policy: use no, on-failure[:N], unless-stopped or always.", key="restart-policy")
        self._container(
            actor,
            Action.CONTAINER_UPDATE,
            ref,
            lambda full: self.engine.update_restart(full, parsed.name, parsed.retries),
            restart=str(parsed),
        )

    def remove_all_of(self, actor: Actor, user_id: str) -> Sequence[str]:
        """Remove everything an account owns: containers, networks, volumes, tags; return what stayed and why."""
        problems = []
        for kind in (Kind.CONTAINER, Kind.NETWORK, Kind.VOLUME):
            with self.database.read() as tx:
                mine = objects.list_objects(tx, kind, owner_id=user_id)
            for found in mine:
                try:
                    self._remove(actor, found)
                except NotFound:
                    self._mark_gone(found)
                except HostadminError as error:
                    problems.append(f"{kind} {found.name}: {error.message}")
        problems += self._remove_images_of(actor, user_id)
        return problems

    def _remove_images_of(self, actor: Actor, user_id: str) -> Sequence[str]:
        problems = []
        with self.database.read() as tx:
            tags = sorted(t for t, o in images.tag_owners(tx).items() if o == user_id)
            held = images.held_by(tx, user_id)
            public = {i for t, i in images.known_tags(tx).items() if images.tag_owners(tx).get(t) != user_id}
        for ref in [*(familiar(t) for t in tags), *sorted(held - public)]:
            entry = Entry(actor, Action.IMAGE_REMOVE, Target("image", None, ref, user_id), "user.remove")
            intent = self.journal.intent(entry)
            try:
                self.engine.remove_image(ref)
                self.journal.outcome(intent, "ok")
            except NotFound:
                self.journal.outcome(intent, "ok")
            except HostadminError as error:
                self.journal.outcome(intent, "error", detail={"message": error.message})
                problems.append(f"image {ref}: {error.message}")

        def forget(tx: Tx) -> None:
            images.drop_tags(tx, tags)
            for image in held:
                images.release(tx, image, user_id)

        self.database.write(forget)
        return problems

    def _mark_gone(self, found: objects.Object) -> None:
        self.database.write(lambda tx: objects.mark_gone(tx, found.kind, [found.ref]))

    def _remove(self, actor: Actor, found: objects.Object) -> None:
        acts: dict[Kind, Callable[[], None]] = {
            Kind.CONTAINER: lambda: self.engine.remove_container(found.ref, force=True, volumes=True),
            Kind.NETWORK: lambda: self.engine.remove_network(found.ref),
            Kind.VOLUME: lambda: self.engine.remove_volume(found.ref),
            Kind.IMAGE: lambda: self.engine.remove_image(found.name or found.ref),
        }
        gone: Callable[[Tx], None] | None = None
        if found.kind is not Kind.IMAGE:
            gone = lambda tx: objects.mark_gone(tx, found.kind, [found.ref])  # noqa: E731
        self._act(actor, REMOVE[found.kind], found, acts[found.kind], also=gone)

    def _container(self, actor: Actor, action: Action, ref: str, act: Callable[[str], None], **detail: Any) -> None:
        found = self.find(Kind.CONTAINER, ref)
        self._act(actor, action, found, lambda: act(found.ref), **detail)

    def _act(
        self,
        actor: Actor,
        action: Action,
        found: objects.Object,
        act: Callable[[], None],
        *,
        also: Callable[[Tx], object] | None = None,
        **detail: Any,
    ) -> None:
        intent = self.journal.intent(Entry(actor, action, _target(found), "admin", detail))
        try:
            act()
        except HostadminError as error:
            self.journal.outcome(intent, "error", detail={"message": error.message})
            raise
        except BaseException:
            with contextlib.suppress(HostadminError):
                self.journal.outcome(intent, "unknown")
            raise
        self.journal.outcome(intent, "ok", also=also)

    @staticmethod
    def _user(tx: Tx, login: str) -> users.User:
        user = users.find_login(tx, login)
        if user is None:
            raise NotFound(f"There is no account {login!r} in the ledger; see `hostadmin user list`.", key="user-not-found")
        return user


def _target(found: objects.Object) -> Target:
    return Target(found.kind, found.ref, found.name or None, found.owner_id)


def _view(found: objects.Object) -> dict[str, Any]:
    """Return a ledger row for people and JSON: without our own keys."""
    values = asdict(found)
    detail = values.pop("detail")
    for key in ("owner_id", "gone_at"):
        values.pop(key)
    return {**detail, **values, "kind": str(found.kind), "attribution": str(found.attribution)}


def _give_image(tx: Tx, found: objects.Object, user: users.User | None) -> None:
    """An image's owner holds it and owns its tags; without one it is the host's."""
    for tag, image in images.known_tags(tx).items():
        if image == found.ref:
            images.drop_tags(tx, [tag])
            images.put_tag(tx, tag, image, user.id if user else None)
    if user is not None:
        images.hold(tx, found.ref, user.id, "admin")
