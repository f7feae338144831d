"""Who may read and answer."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from doctor import accounts, schema
from doctor.accounts import Account, AccountError, Role

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody


@pytest.fixture
def ada(store) -> Account:
    """An account of an admin."""
    return store.add_account("Ada", "Dr. Ada Reader", Role.ADMIN, PASSWORD)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch):
    """Hash quickly: it is made to take long, and a test tries many passwords."""
    monkeypatch.setattr(
        "doctor.accounts._hasher", accounts.argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    )


@pytest.fixture
def set_back(store):
    """Let time pass for a table's column."""

    def move(column: sa.Column, by: timedelta) -> None:
        with store.database.writing() as writing:
            table = column.table
            for row in writing.connection.execute(sa.select(table)).all():
                value = getattr(row, column.name)
                if value is not None:
                    key = next(iter(table.primary_key))
                    change = table.update().where(key == getattr(row, key.name)).values({column.name: value - by})
                    writing.connection.execute(change)

    return move


def deeds(store) -> list[tuple[str, str, str]]:
    """Who did what to whom, oldest first."""
    return [(entry.account, entry.deed, entry.subject) for entry in store.audit_entries(last=100)[::-1]]


def test_whoever_has_an_account_may_come_in(store, ada):
    """By a session, until it is ended."""
    token = store.log_in("ADA ", PASSWORD)

    inside = store.account_of(token)
    store.log_out(token)
    store.log_out(token)

    assert inside == ada == Account("ada", "Dr. Ada Reader", Role.ADMIN)
    assert store.account_of(token) is None
    assert store.account_of("") is None
    assert store.accounts() == [ada]
    assert deeds(store) == [
        ("console", "account-added", "ada"), ("ada", "logged-in", "ada"), ("ada", "logged-out", "ada"),
    ]  # fmt: skip


@pytest.mark.usefixtures("ada")
def test_the_database_holds_neither_password_nor_token(store):
    """Whoever reads it can log in as nobody."""
    token = store.log_in("ada", PASSWORD)

    with store.database.reading() as connection:
        held = str(connection.execute(sa.select(schema.account, schema.session).join(schema.session)).all())

    assert "$argon2id$" in held
    assert PASSWORD not in held
    assert token not in held


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong horse battery"), ("ben", PASSWORD), ("ada", ""), ("", ""), ("ada\0", PASSWORD), ("ada", "\ud800")],
)
@pytest.mark.usefixtures("ada")
def test_who_is_wrong_stays_outside_and_learns_nothing(store, name, password):
    """Not even whether there is such an account."""
    with pytest.raises(AccountError, match=r"^Name or password is wrong\.$"):
        store.log_in(name, password)


def test_too_many_wrong_passwords_make_a_name_wait(store, ada, set_back):
    """Also with the right one, and longer each time; then the count begins anew."""
    for _ in range(accounts.FREE_FAILURES):
        with pytest.raises(AccountError, match="is wrong"):
            store.log_in("ada", "wrong horse battery")
    with pytest.raises(AccountError, match=r"Try again after \d\d:\d\d:\d\d UTC"):
        store.log_in("ada", PASSWORD)
    set_back(schema.account.c.blocked_until, accounts.FIRST_WAIT)
    with pytest.raises(AccountError, match="is wrong"):
        store.log_in("ada", "wrong horse battery")
    set_back(schema.account.c.blocked_until, accounts.FIRST_WAIT)
    with pytest.raises(AccountError, match="Try again after"):
        store.log_in("ada", PASSWORD)
    set_back(schema.account.c.blocked_until, accounts.FIRST_WAIT)

    token = store.log_in("ada", PASSWORD)

    assert store.account_of(token) == ada
    assert deeds(store).count(("ada", "refused", "ada")) == accounts.FREE_FAILURES + 1


@pytest.mark.usefixtures("ada")
def test_trying_many_at_once_gains_nothing(store):
    """Each attempt is counted before its password is looked at."""

    def attempt(_: int) -> str:
        with pytest.raises(AccountError) as refused:
            store.log_in("ada", "wrong horse battery")
        return str(refused.value)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(attempt, range(24)))

    assert sum("is wrong" in answer for answer in answers) == accounts.FREE_FAILURES


@pytest.mark.usefixtures("ada")
def test_nobody_waits_longer_than_a_quarter_of_an_hour(store, set_back):
    """Or anybody could lock a doctor out."""
    for _ in range(accounts.FREE_FAILURES + 10):
        set_back(schema.account.c.blocked_until, accounts.LONGEST_WAIT)
        with pytest.raises(AccountError, match="is wrong"):
            store.log_in("ada", "wrong horse battery")

    with store.database.reading() as connection:
        until = connection.scalar(sa.select(schema.account.c.blocked_until))
    assert until - datetime.now(UTC) < accounts.LONGEST_WAIT


@pytest.mark.usefixtures("ada")
def test_a_session_ends_by_itself(store, set_back):
    """And is swept away at the next login."""
    token = store.log_in("ada", PASSWORD)

    set_back(schema.session.c.expires_at, accounts.SESSION_HOLDS)

    assert store.account_of(token) is None
    store.log_in("ada", PASSWORD)
    with store.database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.session)) == 1


def test_a_new_password_ends_every_other_session(store, ada):
    """The old one must be right, and the new one long enough."""
    here, elsewhere = store.log_in("ada", PASSWORD), store.log_in("ada", PASSWORD)
    with pytest.raises(AccountError, match="is wrong"):
        store.change_password(ada, "wrong horse battery", "another good password")
    with pytest.raises(AccountError, match="12 to 200"):
        store.change_password(ada, PASSWORD, "short")

    store.change_password(ada, PASSWORD, "another good password", keep=here)

    assert store.account_of(here) == ada
    assert store.account_of(elsewhere) is None
    with pytest.raises(AccountError, match="is wrong"):
        store.log_in("ada", PASSWORD)
    assert store.log_in("ada", "another good password")


def test_a_disabled_account_is_outside_at_once(store, ada):
    """Its sessions end, its name stays taken; the last admin stays."""
    ben = store.add_account("ben", "Dr. Ben", Role.READER, PASSWORD, by=ada)
    token = store.log_in("ben", PASSWORD)

    store.disable_account("ben", by=ada)

    assert store.account_of(token) is None
    with pytest.raises(AccountError, match="is wrong"):
        store.log_in("ben", PASSWORD)
    with pytest.raises(AccountError, match="already"):
        store.add_account("ben", "Dr. Ben", Role.READER, PASSWORD)
    with pytest.raises(AccountError, match="the last admin"):
        store.disable_account("ada")
    with pytest.raises(AccountError, match="no account 'eve'"):
        store.disable_account("eve")
    assert [account.disabled for account in store.accounts()] == [False, True]
    assert ("ada", "account-disabled", ben.name) in deeds(store)


@pytest.mark.parametrize(
    ("name", "reader", "password", "complaint"),
    [
        ("", "Dr. A", PASSWORD, "A name is"),
        ("a b", "Dr. A", PASSWORD, "A name is"),
        ("a" * 65, "Dr. A", PASSWORD, "A name is"),
        ("console", "Dr. A", PASSWORD, "A name is"),
        ("<script>", "Dr. A", PASSWORD, "A name is"),
        ("ada", " ", PASSWORD, "how the clinics"),
        ("ada", "x" * 81, PASSWORD, "how the clinics"),
        ("ada", "Dr.\nA", PASSWORD, "how the clinics"),
        ("ada", "Dr. A", "eleven char", "12 to 200"),
        ("ada", "Dr. A", "x" * 201, "12 to 200"),
        ("ada", "Dr. A", "\ud800" * 12, "characters that are none"),
    ],
)
def test_what_makes_no_account_is_told(store, name, reader, password, complaint):
    """In words for whoever fills in the form."""
    with pytest.raises(AccountError, match=complaint):
        store.add_account(name, reader, Role.READER, password)

    assert store.accounts() == []
