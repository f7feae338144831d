"""The page's section of the configuration: nobody opens a page to a network by mistake."""

from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.settings.page import HomeAssistantConfig, PageConfig


@pytest.mark.parametrize("listen", ["127.0.0.1:8080", "127.8.8.8:80", "localhost:8080", "[::1]:8080", ""])
def test_this_machine_s_own_addresses_need_no_password(listen: str):
    """Nobody else can reach them."""
    assert PageConfig(listen=listen).password() is None


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:8080", "[::]:8080", "192.168.1.4:8080", "box.local:8080", "127.evil.example:80"]
)
def test_any_other_address_needs_one(listen: str, tmp_path: Path):
    """Without it the configuration is refused; the message says what to do."""
    with pytest.raises(ConfigError, match=r"^page\.listen is .*give page\.password_file"):
        PageConfig(listen=listen)

    (tmp_path / "password").write_text("several good words\n")
    assert PageConfig(listen=listen, password_file=str(tmp_path / "password")).password() == "several good words"


@pytest.mark.parametrize(
    "listen", ["8080", "127.0.0.1", "127.0.0.1:", ":8080", "127.0.0.1:0", "127.0.0.1:99999", "::1:80"]
)
def test_an_address_is_host_and_port(listen: str):
    """Neither is guessed."""
    with pytest.raises(ConfigError, match=r"^page\.listen must be HOST:PORT"):
        PageConfig(listen=listen)


def test_a_password_must_be_readable_and_not_short(tmp_path: Path):
    """The message names the file, and never the password."""
    (tmp_path / "short").write_text("geheim")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xfd" * 10)

    with pytest.raises(ConfigError, match="at least 8 characters, it holds 6") as caught:
        PageConfig(password_file=str(tmp_path / "short")).password()
    assert "geheim" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        PageConfig(password_file=str(tmp_path / "nowhere")).password()
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        PageConfig(password_file=str(tmp_path / "bytes")).password()


def test_certificate_and_key_belong_together():
    """One alone cannot serve HTTPS."""
    with pytest.raises(ConfigError, match=r"page\.cert_file and page\.key_file"):
        PageConfig(cert_file="page.crt")


def test_home_assistant_s_prefix_is_a_name():
    """It becomes the root of topics."""
    with pytest.raises(ConfigError, match=r"homeassistant\.prefix"):
        HomeAssistantConfig(prefix="a/#")
