"""The tables of the doctor's store. A change here needs a migration beside it; a test compares the two.

What the worklist sorts and filters by stands in columns of its own beside the document, so that an index answers.
No column holds anything that names a patient: `patient` and `study` are tokens that only the box can undo.
"""

from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: Final = sa.MetaData(naming_convention=NAMING)

_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite numbers rows by itself only as INTEGER


class Moment(sa.TypeDecorator[datetime]):
    """An aware UTC time; SQLite knows no zones and keeps it bare."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a time whose zone nobody knows."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time must be aware")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _number_of_report(*, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column("number", _Number, sa.ForeignKey("report.number"), primary_key=primary_key, nullable=False)


report: Final = sa.Table(
    "report",
    metadata,
    sa.Column("number", _Number, sa.Identity(), primary_key=True),  # order of arrival
    sa.Column("site", sa.String(64), nullable=False),
    sa.Column("device", sa.String(64), nullable=False),
    sa.Column("id", sa.String(32), nullable=False),
    sa.Column("stored_at", Moment, nullable=False),
    sa.Column("shown", sa.Boolean(create_constraint=False), nullable=False),  # printed by `edge-doctor watch`
    sa.Column("repeats", sa.Integer, nullable=False),  # how often it came again
    sa.Column("rank", sa.SmallInteger, nullable=False),  # doctor.urgency: 0 comes first
    sa.Column("decision", sa.String(80), nullable=False),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("patient", sa.String(64)),
    sa.Column("study", sa.String(64)),
    sa.Column("has_preview", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("read", sa.Boolean(create_constraint=False), nullable=False),  # somebody has opened it
    sa.Column("answered", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),  # of the review that stands; 0 for none
    sa.Column("confirmed", sa.Integer, nullable=False),  # the highest revision that the box has
    sa.Column("changed", sa.BigInteger, nullable=False),  # tick of the last change, for pages that follow along
    sa.UniqueConstraint("site", "device", "id"),
    sa.Index("ix_report_worklist", "answered", "rank", "number"),
    sa.Index("ix_report_answered", "answered", "number"),
    sa.Index("ix_report_counts", "answered", "rank", "read", "stored_at"),
    sa.Index("ix_report_site", "site", "answered", "rank", "number"),
    sa.Index("ix_report_decision", "decision", "answered", "rank", "number"),
    sa.Index("ix_report_patient", "site", "device", "patient"),
    sa.Index("ix_report_study", "site", "device", "study"),
    sa.Index("ix_report_changed", "changed"),
    sqlite_autoincrement=True,
)
_unshown: Final = sa.Index(
    "ix_report_unshown",
    report.c.number,
    sqlite_where=~report.c.shown,
    postgresql_where=~report.c.shown,
)
_owed: Final = sa.Index(
    "ix_report_owed",
    report.c.number,
    sqlite_where=report.c.revision > report.c.confirmed,
    postgresql_where=report.c.revision > report.c.confirmed,
)

document: Final = sa.Table(  # apart, so that the rows the worklist looks through are short
    "document",
    metadata,
    _number_of_report(primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),  # the report as it came
)

preview: Final = sa.Table(
    "preview",
    metadata,
    _number_of_report(primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),  # a JPEG
)

review: Final = sa.Table(
    "review",
    metadata,
    _number_of_report(primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),  # the review as the box gets it
    sa.Index("ix_review_at", "at"),
)

clinic: Final = sa.Table(
    "clinic",
    metadata,
    sa.Column("site", sa.String(64), primary_key=True),
    sa.Column("device", sa.String(64), primary_key=True),
    sa.Column("state", sa.String(16)),
    sa.Column("model", sa.String(200)),
    sa.Column("since", Moment),  # this inbox's clock: since when the state holds
    sa.Column("health", sa.LargeBinary),
    sa.Column("health_at", Moment),
    sa.Column("card", sa.LargeBinary),
    sa.Column("card_at", Moment),
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Index("ix_clinic_changed", "changed"),
)

rejected: Final = sa.Table(
    "rejected",
    metadata,
    sa.Column("number", _Number, sa.Identity(), primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("topic", sa.String(200), nullable=False),
    sa.Column("fault", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(500), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("beginning", sa.LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

rejection: Final = sa.Table(
    "rejection",
    metadata,
    sa.Column("fault", sa.String(16), primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
)

request: Final = sa.Table(
    "request",
    metadata,
    sa.Column("transaction", sa.String(64), primary_key=True),
    sa.Column("site", sa.String(64), nullable=False),
    sa.Column("device", sa.String(64), nullable=False),
    sa.Column("command", sa.String(16), nullable=False),
    sa.Column("number", _Number, sa.ForeignKey("report.number")),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("asked_at", Moment, nullable=False),
    sa.Column("answered_at", Moment),
    sa.Column("error", sa.String(500)),
    sa.Column("result", sa.LargeBinary),
    sa.Index("ix_request_box", "site", "device", "asked_at"),
    sa.Index("ix_request_number", "number"),
)
_unanswered: Final = sa.Index(
    "ix_request_unanswered",
    request.c.asked_at,
    sqlite_where=request.c.answered_at.is_(None),
    postgresql_where=request.c.answered_at.is_(None),
)

image: Final = sa.Table(
    "image",
    metadata,
    _number_of_report(primary_key=True),
    sa.Column("media_type", sa.String(64), nullable=False),
    sa.Column("total_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("received_bytes", sa.BigInteger, nullable=False),
    sa.Column("verified", sa.Boolean(create_constraint=False), nullable=False),
)

chunk: Final = sa.Table(
    "chunk",
    metadata,
    sa.Column("number", _Number, sa.ForeignKey("image.number", ondelete="CASCADE"), primary_key=True),
    sa.Column("offset_bytes", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

account: Final = sa.Table(
    "account",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("reader", sa.String(80), nullable=False),  # shown to the clinics
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("password", sa.String(200), nullable=False),  # argon2
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("disabled_at", Moment),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("blocked_until", Moment),
)

session: Final = sa.Table(
    "session",
    metadata,
    sa.Column("token_sha256", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(64), sa.ForeignKey("account.name"), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Index("ix_session_account", "account"),
)

audit: Final = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("entry", sa.LargeBinary, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
)

tick: Final = sa.Table(
    "tick",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("value", sa.BigInteger, nullable=False),
)

fact: Final = sa.Table(
    "fact",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
