"""The address of the clinic's page, opened for real."""

import socket

import pytest

from edge.errors import ConfigError
from edge.settings.page import PageConfig
from edge.settings.page_address import open_listener


def test_a_connection_does_not_wait_for_acknowledgements():
    """What is accepted inherits it from the listener; asyncio would not set it by itself."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    page = PageConfig(listen=f"127.0.0.1:{port}")
    with (
        open_listener(page) as listener,
        socket.create_connection(("127.0.0.1", port)),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_an_address_of_another_machine_is_refused():
    """The message names key, place and cure."""
    page = PageConfig(listen="127.0.0.1:80")
    other = PageConfig(listen="203.0.113.7:8080", password_file="unread")  # noqa: S106 - a file's name

    assert page.host_and_port == ("127.0.0.1", 80)
    with pytest.raises(ConfigError, match=r"page\.listen: .*203\.0\.113\.7:8080: Cannot assign requested address"):
        open_listener(other)
