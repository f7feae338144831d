"""The first tables; a SQLite store from before them, with reports and nothing else, is taken over.

Revision ID: 0001
"""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables and fill them with what an older store held."""
    old = "report" in sa.inspect(op.get_bind()).get_table_names()
    if old:
        op.rename_table("report", "old_report")
        op.rename_table("fact", "old_fact")
    report = _make_report()
    document = _make_content("document")
    _make_content("preview")
    _make_parts_of_reports()
    _make_clinics()
    _make_requests()
    _make_accounts()
    op.create_table(
        "fact",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        _pk("fact", "name"),
    )
    tick = op.create_table(
        "tick",
        sa.Column("id", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        _pk("tick", "id"),
    )
    op.bulk_insert(tick, [{"id": 1, "value": 1}])
    if old:
        _take_over(report, document)
    _make_audit()


def _pk(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _fk(table: str, column: str, to: str, *, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [to], name=f"fk_{table}_{column}", ondelete=ondelete)


def _make_report() -> sa.Table:
    table = op.create_table(
        "report",
        sa.Column("number", _NUMBER, sa.Identity(), nullable=False),
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("stored_at", _MOMENT, nullable=False),
        sa.Column("shown", sa.Boolean, nullable=False),
        sa.Column("repeats", sa.Integer, nullable=False),
        sa.Column("rank", sa.SmallInteger, nullable=False),
        sa.Column("decision", sa.String(80), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("patient", sa.String(64)),
        sa.Column("study", sa.String(64)),
        sa.Column("has_preview", sa.Boolean, nullable=False),
        sa.Column("read", sa.Boolean, nullable=False),
        sa.Column("answered", sa.Boolean, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("confirmed", sa.Integer, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        _pk("report", "number"),
        sa.UniqueConstraint("site", "device", "id", name="uq_report_site_device_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_report_worklist", "report", ["answered", "rank", "number"])
    op.create_index("ix_report_answered", "report", ["answered", "number"])
    op.create_index("ix_report_counts", "report", ["answered", "rank", "read", "stored_at"])
    op.create_index("ix_report_site", "report", ["site", "answered", "rank", "number"])
    op.create_index("ix_report_decision", "report", ["decision", "answered", "rank", "number"])
    op.create_index("ix_report_patient", "report", ["site", "device", "patient"])
    op.create_index("ix_report_study", "report", ["site", "device", "study"])
    op.create_index("ix_report_changed", "report", ["changed"])
    for name, where in (("unshown", "NOT shown"), ("owed", "revision > confirmed")):
        condition = sa.text(where)
        op.create_index(f"ix_report_{name}", "report", ["number"], sqlite_where=condition, postgresql_where=condition)
    return table


def _make_content(name: str) -> sa.Table:
    return op.create_table(
        name,
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        _pk(name, "number"),
        _fk(name, "number", "report.number"),
    )


def _make_parts_of_reports() -> None:
    op.create_table(
        "review",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("revision", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        _pk("review", "number", "revision"),
        _fk("review", "number", "report.number"),
    )
    op.create_index("ix_review_at", "review", ["at"])
    op.create_table(
        "image",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("media_type", sa.String(64), nullable=False),
        sa.Column("total_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("received_bytes", sa.BigInteger, nullable=False),
        sa.Column("verified", sa.Boolean, nullable=False),
        _pk("image", "number"),
        _fk("image", "number", "report.number"),
    )
    op.create_table(
        "chunk",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("offset_bytes", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        _pk("chunk", "number", "offset_bytes"),
        _fk("chunk", "number", "image.number", ondelete="CASCADE"),
    )


def _make_clinics() -> None:
    op.create_table(
        "clinic",
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16)),
        sa.Column("model", sa.String(200)),
        sa.Column("since", _MOMENT),
        sa.Column("health", sa.LargeBinary),
        sa.Column("health_at", _MOMENT),
        sa.Column("card", sa.LargeBinary),
        sa.Column("card_at", _MOMENT),
        sa.Column("changed", sa.BigInteger, nullable=False),
        _pk("clinic", "site", "device"),
    )
    op.create_index("ix_clinic_changed", "clinic", ["changed"])
    op.create_table(
        "rejected",
        sa.Column("number", _NUMBER, sa.Identity(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("topic", sa.String(200), nullable=False),
        sa.Column("fault", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("beginning", sa.LargeBinary, nullable=False),
        _pk("rejected", "number"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "rejection",
        sa.Column("fault", sa.String(16), nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        _pk("rejection", "fault"),
    )


def _make_requests() -> None:
    op.create_table(
        "request",
        sa.Column("transaction", sa.String(64), nullable=False),
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("command", sa.String(16), nullable=False),
        sa.Column("number", _NUMBER),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("asked_at", _MOMENT, nullable=False),
        sa.Column("answered_at", _MOMENT),
        sa.Column("error", sa.String(500)),
        sa.Column("result", sa.LargeBinary),
        _pk("request", "transaction"),
        _fk("request", "number", "report.number"),
    )
    op.create_index("ix_request_box", "request", ["site", "device", "asked_at"])
    op.create_index("ix_request_number", "request", ["number"])
    condition = sa.text("answered_at IS NULL")
    op.create_index(
        "ix_request_unanswered", "request", ["asked_at"], sqlite_where=condition, postgresql_where=condition
    )


def _make_accounts() -> None:
    op.create_table(
        "account",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("reader", sa.String(80), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password", sa.String(200), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("disabled_at", _MOMENT),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("blocked_until", _MOMENT),
        _pk("account", "name"),
    )
    op.create_table(
        "session",
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        _pk("session", "token_sha256"),
        _fk("session", "account", "account.name"),
    )
    op.create_index("ix_session_account", "session", ["account"])


def _make_audit() -> None:
    """The log, and what refuses to change or remove an entry."""
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        _pk("audit", "number"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'entries of the audit log stay as they are'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_stays()"
        )
        return
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_stays_{event.lower()} BEFORE {event} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'entries of the audit log stay as they are'); END"
        )


def _take_over(report: sa.Table, document: sa.Table) -> None:
    connection = op.get_bind()
    connection.execute(sa.text("INSERT INTO fact SELECT name, value FROM old_fact"))
    rows = connection.execute(sa.text("SELECT number, site, device, id, document, stored_at, shown FROM old_report"))
    while batch := rows.fetchmany(1000):
        connection.execute(report.insert(), [_as_new(row) for row in batch])
        connection.execute(document.insert(), [{"number": row.number, "content": row.document} for row in batch])
    op.drop_table("old_report")
    op.drop_table("old_fact")


def _as_new(row: sa.Row[*tuple[Any, ...]]) -> dict[str, Any]:
    said = json.loads(row.document)
    ranks = {said["positive"]: 1, "inconclusive": 2, "not-assessable": 3}
    return {
        "number": row.number,
        "site": row.site,
        "device": row.device,
        "id": row.id,
        "stored_at": datetime.fromisoformat(row.stored_at),
        "shown": bool(row.shown),
        "repeats": 0,
        "rank": ranks.get(said["decision"], 4),
        "decision": said["decision"],
        "model": said["model"]["id"],
        "patient": said.get("patient"),
        "study": said.get("study"),
        "has_preview": False,
        "read": False,
        "answered": False,
        "revision": 0,
        "confirmed": 0,
        "changed": 1,
    }
