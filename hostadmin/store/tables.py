"""All tables on one page. Times are RFC 3339 text in UTC (sortable); ids of accounts are UUIDv7.

Nothing here depends on SQLite: PostgreSQL is a second value of ``[store] url``.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users: Final = Table(
    "users",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("login", String(32), nullable=False),
    Column("uid", Integer, nullable=False),
    Column("gid", Integer, nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("profile", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # core.values.UserState
    Column("managed", Boolean, nullable=False),  # false: a group member we did not make
    Column("expires", String(10)),  # ISO date: the last day of access; null = never
    Column("home", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Column("removed_at", String(32)),
    Column("mail", Text, nullable=False, server_default=""),
    Column("starts", String(10)),  # ISO date: the first day of access; null = at once
    Column("cohort_id", String(36), index=True),  # cohorts.id
    Column("docker", Boolean),  # whether the group with access is to have it; null = whatever the group says
    Column("groups", JSON, nullable=False, server_default="[]"),  # further groups that hostadmin keeps it in
    Column("keys", JSON, nullable=False, server_default="[]"),  # the lines of authorized_keys that hostadmin wrote
    Column("password_print", String(16)),  # fingerprint of the hash that a roster gave
    Column("adopted", Boolean, nullable=False, server_default=text("0")),  # was on the host before hostadmin managed it
)
# A login and a uid belong to one living account; removed rows stay as tombstones. (Partial indexes name SQLite only:
# naming PostgreSQL here would load its dialect, 5 MB, into every process; the migrations name both.)
Index(
    "uq_users_living_login",
    users.c.login,
    unique=True,
    sqlite_where=text("state != 'removed'"),
)
Index("uq_users_living_uid", users.c.uid, unique=True, sqlite_where=text("state != 'removed'"))

cohorts: Final = Table(  # the users of one roster; dates are ISO, first and last day of access
    "cohorts",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("starts", String(10)),
    Column("ends", String(10)),
    Column("state", String(16), nullable=False),  # core.values.CohortState
    Column("removes", Boolean, nullable=False),  # whether its users are removed once its last day is over
    Column("created_at", String(32), nullable=False),
    Column("ended_at", String(32)),
)
Index("uq_cohorts_living_name", cohorts.c.name, unique=True, sqlite_where=text("state != 'ended'"))

numbers: Final = Table(  # what an account was given once and nobody else ever gets; kept when it is removed
    "numbers",
    METADATA,
    Column("user_id", String(36), ForeignKey("users.id"), primary_key=True),
    Column("position", Integer, nullable=False, unique=True),  # subordinate ids and subnet follow from it
    Column("subid_first", BigInteger, nullable=False),
    Column("subid_count", Integer, nullable=False),
    Column("subnet", String(18)),  # CIDR; null = there was none left
)

home_archives: Final = Table(  # homes of removed accounts
    "home_archives",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(36), ForeignKey("users.id"), nullable=False, index=True),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("keep_until", String(32), nullable=False),
    Column("deleted_at", String(32)),
)

objects: Final = Table(
    "objects",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),  # core.values.Kind
    Column("ref", Text, nullable=False),  # full engine id; the name for volumes
    Column("name", Text, nullable=False, server_default=""),
    Column("owner_id", String(36), ForeignKey("users.id"), index=True),
    Column("attribution", String(16), nullable=False),  # core.values.Attribution
    Column("detail", JSON, nullable=False),  # what lists show: state, image, driver ...
    Column("first_seen", String(32), nullable=False),
    Column("last_seen", String(32), nullable=False),
    Column("gone_at", String(32)),
)
Index(
    "uq_objects_present",
    objects.c.kind,
    objects.c.ref,
    unique=True,
    sqlite_where=text("gone_at IS NULL"),
)

image_tags: Final = Table(  # a tag is an owned reference; no row or no owner = the host's, read-only
    "image_tags",
    METADATA,
    Column("tag", Text, primary_key=True),  # normalised: docker.io/library/alpine:latest
    Column("image_id", Text, nullable=False, index=True),
    Column("owner_id", String(36), ForeignKey("users.id")),
    Column("updated_at", String(32), nullable=False),
)

image_holders: Final = Table(  # who built, pulled, loaded, imported or committed an image
    "image_holders",
    METADATA,
    Column("image_id", Text, primary_key=True),
    Column("user_id", String(36), ForeignKey("users.id"), primary_key=True),
    Column("how", String(16), nullable=False),
    Column("since", String(32), nullable=False),
)

image_names: Final = Table(  # names under which a registry gave an image to an account: digests, and others' tags
    "image_names",
    METADATA,
    Column("name", Text, primary_key=True),  # normalised tag, or repository@digest
    Column("user_id", String(36), ForeignKey("users.id"), primary_key=True),
    Column("image_id", Text, nullable=False),
)

image_sizes: Final = Table(  # what an image adds to the one that it was built on; never changes for one id
    "image_sizes",
    METADATA,
    Column("image_id", Text, primary_key=True),
    Column("own_bytes", BigInteger, nullable=False),
)

port_blocks: Final = Table(  # host ports that are one account's alone, allotted once; kept when it is removed
    "port_blocks",
    METADATA,
    Column("user_id", String(36), ForeignKey("users.id"), primary_key=True),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
)

audit_records: Final = Table(
    "audit_records",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("req", String(36), nullable=False, index=True),  # one per request
    Column("of_seq", Integer),  # the intent that an outcome closes
    Column("stage", String(16), nullable=False),  # intent, outcome, recovered, event
    Column("ts", String(32), nullable=False, index=True),
    Column("proc", String(16), nullable=False),  # guard or service
    Column("actor", JSON, nullable=False),
    Column("actor_login", String(64), index=True),
    Column("actor_account", String(36), index=True),
    Column("action", String(64), nullable=False, index=True),
    Column("object_kind", String(16)),
    Column("object_id", Text),
    Column("object_name", Text),
    Column("object_owner", String(36)),
    Column("decision", String(16), nullable=False),  # allow, deny, would-refuse
    Column("rule", String(64)),
    Column("status", String(16)),  # ok, error, unknown, done, not-done
    Column("detail", JSON, nullable=False),
)

audit_open: Final = Table(  # intents without an outcome
    "audit_open",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("req", String(36), nullable=False),
    Column("proc", String(16), nullable=False),
    Column("boot", String(64), nullable=False),  # pid and start of the process that wrote it
)

restart_findings: Final = Table(  # corrected policies and crash loops
    "restart_findings",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("container_id", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("owner_id", String(36), ForeignKey("users.id")),
    Column("finding", String(16), nullable=False),  # corrected, crash-looping
    Column("found", Text, nullable=False),
    Column("applied", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("released_at", String(32)),
)

job_runs: Final = Table(
    "job_runs",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("job", String(64), nullable=False, index=True),
    Column("trigger", String(16), nullable=False),  # schedule or manual
    Column("started_at", String(32), nullable=False),
    Column("ended_at", String(32)),
    Column("status", String(16), nullable=False),  # running, ok, error, interrupted, skipped
    Column("detail", JSON, nullable=False),
)

plans: Final = Table(
    "plans",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("kind", String(32), nullable=False),  # cleanup.JOB, roster, cohort.end, cohort.reset
    Column("created_at", String(32), nullable=False),
    Column("applied_at", String(32)),
    Column("detail", JSON, nullable=False, server_default="{}"),  # what is true of the whole plan
)

plan_steps: Final = Table(
    "plan_steps",
    METADATA,
    Column("plan_id", String(36), ForeignKey("plans.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("action", String(64), nullable=False),
    Column("ref", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("status", String(16), nullable=False),  # planned, begun, done, skipped, failed
    Column("message", Text, nullable=False, server_default=""),
    UniqueConstraint("plan_id", "action", "ref"),
)

resets: Final = Table(  # what was taken away of a set of accounts at once, and until when it can come back
    "resets",
    METADATA,
    Column("plan_id", String(36), ForeignKey("plans.id"), primary_key=True),
    Column("hours", Integer, nullable=False),  # recoverable for; 0 = not at all
    Column("state", String(16), nullable=False),  # store.resets.ResetState
    Column("begun_at", String(32)),
    Column("until", String(32)),  # nothing of it is recoverable from then on
)

reset_items: Final = Table(  # never environment, command, labels or health check of a container: they lie in its snapshot
    "reset_items",
    METADATA,
    Column("plan_id", String(36), ForeignKey("resets.plan_id"), primary_key=True),
    Column("kind", String(16), primary_key=True),  # core.values.Kind
    Column("ref", Text, primary_key=True),  # full engine id; the name for volumes
    Column("name", Text, nullable=False),
    Column("owner_id", String(36), ForeignKey("users.id"), nullable=False),
    Column("attribution", String(16), nullable=False),  # core.values.Attribution
    Column("state", String(16), nullable=False, index=True),  # store.resets.ItemState
    Column("kept", JSON, nullable=False),  # its configuration
    Column("saved", JSON, nullable=False),  # where its data is: image, or file and sha256
    Column("req", String(36)),  # the request, as in audit and label, that makes it anew
    Column("restored_ref", Text),
    Column("message", Text, nullable=False, server_default=""),  # why it did not come back
)

facts: Final = Table(  # small facts that must survive a restart: engine socket mode, last event time
    "facts",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
)

table_versions: Final = Table(  # how often each part of the ledger has changed; triggers count (migration 0002)
    "table_versions",
    METADATA,
    Column("part", String(16), primary_key=True),  # users, objects, images
    Column("version", Integer, nullable=False),
)
