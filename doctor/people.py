"""The store as those see it who come to it: signing in and out, accounts, and the log of what they did."""

from doctor import accounts, audit
from doctor.accounts import CONSOLE, Account, Role
from doctor.audit import Entry, Verdict
from doctor.database import Database
from edge.closing import Closing


class People(Closing):
    """Accounts in a database, shared by threads; close it, or use it as a context manager.

    Args:
        database: Where they lie; closed with this.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def log_in(self, name: str, password: str) -> str:
        """Begin a session; returns its token.

        Raises:
            AccountError: Name or password is wrong, or the name has to wait.
        """
        return accounts.log_in(self.database, name, password)

    def account_of(self, token: str) -> Account | None:
        """Whose session a token is, or None if it is nobody's or over."""
        with self.database.reading() as connection:
            return accounts.account_of(connection, token)

    def log_out(self, token: str) -> None:
        """End a session."""
        with self.database.writing() as writing:
            accounts.log_out(writing, token)

    def accounts(self) -> list[Account]:
        """All accounts by name, also those that are disabled."""
        with self.database.reading() as connection:
            return accounts.every(connection)

    def add_account(self, name: str, reader: str, role: Role, password: str, *, by: Account | None = None) -> Account:
        """Make an account; `by` is None where somebody at this machine does it.

        Raises:
            AccountError: The name is taken, or one of the texts is not what it must be.
        """
        return accounts.add(self.database, name, reader, role, password, by=_who(by))

    def disable_account(self, name: str, *, by: Account | None = None) -> None:
        """Let somebody in no more, from this moment on.

        Raises:
            AccountError: There is no such account, or it is the last admin.
        """
        accounts.disable(self.database, name, by=_who(by))

    def change_password(self, account: Account, old: str, new: str, *, keep: str = "") -> None:
        """Change one's own password; every session ends but the one whose token is kept.

        Raises:
            AccountError: The old one is wrong, or the new one too short.
        """
        accounts.check_password(self.database, account.name, old)
        accounts.set_password(self.database, account.name, new, by=account.name, keep=keep)

    def set_password(self, name: str, password: str) -> None:
        """Give somebody a new password, at this machine; every session of theirs ends.

        Raises:
            AccountError: There is no such account, or the password is too short.
        """
        accounts.set_password(self.database, name, password, by=CONSOLE)

    def audit_entries(self, *, last: int) -> list[Entry]:
        """The last entries of the log, newest first."""
        with self.database.reading() as connection:
            return list(audit.entries(connection, last=last))[::-1]

    def verify_audit(self) -> Verdict:
        """Go through the whole log."""
        with self.database.reading() as connection:
            return audit.verify(connection)


def _who(account: Account | None) -> str:
    return CONSOLE if account is None else account.name
