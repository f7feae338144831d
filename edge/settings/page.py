"""The clinic's page, and the box as a device of Home Assistant: two sections of the configuration."""

import ipaddress
from pathlib import Path
from typing import Annotated, Final

import msgspec

from edge.errors import ConfigError
from edge.wire.topics import check_name

MIN_PASSWORD_CHARACTERS: Final = 8


class PageConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The clinic's page. Without `listen` there is none.

    Attributes:
        listen: `HOST:PORT` to serve it at. With another host than this machine's own loopback a password is required.
        password_file: Holds the page's password and nothing else.
        cert_file: The page's certificate, PEM; with it the page is served by HTTPS.
        key_file: Its private key.
        session_hours: Whoever has entered the password need not do so again for this long.
        show_patient: Show patients' numbers and the names of files, which this box knows and nobody else.
    """

    listen: str = ""
    password_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    session_hours: Annotated[float, msgspec.Meta(gt=0)] = 12.0
    show_patient: bool = True

    def __post_init__(self) -> None:
        """Refuse a page that anybody on the network could open."""
        if (self.cert_file is None) != (self.key_file is None):
            raise ConfigError("page.cert_file and page.key_file must be given together")
        if self.listen and not is_loopback(self.host_and_port[0]) and self.password_file is None:
            raise ConfigError(
                f"page.listen is {self.listen!r}, where others on the network can open the page: "
                "give page.password_file, a file with the page's password, or listen on 127.0.0.1 only"
            )

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The address taken apart; an IPv6 address stands in brackets.

        Raises:
            ConfigError: No host, or no port from 1 to 65535.
        """
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16 or (":" in host and host[0] != "["):
            raise ConfigError(f"page.listen must be HOST:PORT, such as 127.0.0.1:8080, got {self.listen!r}")
        return host.strip("[]"), int(port)

    def password(self) -> str | None:
        """What stands in the password's file; None where no password is wanted.

        Raises:
            ConfigError: The file cannot be read, or holds too short a password.
        """
        if self.password_file is None:
            return None
        try:
            text = Path(self.password_file).read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise ConfigError(f"page.password_file {self.password_file} cannot be read: {reason}") from error
        if len(text) < MIN_PASSWORD_CHARACTERS:
            raise ConfigError(
                f"page.password_file {self.password_file} must hold at least {MIN_PASSWORD_CHARACTERS} characters, "
                f"it holds {len(text)}; several words are a good password"
            )
        return text


class HomeAssistantConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Announce this box to Home Assistant over the same broker.

    Attributes:
        enabled: Whether to.
        prefix: Home Assistant's own discovery prefix.
    """

    enabled: bool = False
    prefix: str = "homeassistant"

    def __post_init__(self) -> None:
        """Refuse a prefix that would change the meaning of a topic."""
        check_name("homeassistant.prefix", self.prefix)


def is_loopback(host: str) -> bool:
    """Whether only this very machine can reach a host's address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
