"""The clinic's page's address and certificate, tried out: by the agent before it serves, and by `edge-agent check`."""

import socket
import ssl

from edge.errors import ConfigError
from edge.settings.page import PageConfig


def open_listener(page: PageConfig) -> socket.socket:
    """A socket that takes connections at the page's address.

    Raises:
        ConfigError: The address is taken, forbidden, or not this machine's.
    """
    host, port = page.host_and_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"page.listen: the page cannot be opened at {page.listen}: {error.strerror or error}; "
            "give an address of this machine and a port above 1023 that nobody else uses"
        ) from error
    # Connections inherit it. Without it the second half of an answer waits 40 ms for the first to be acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def check_certificate(page: PageConfig) -> None:
    """Try out certificate and key, where the page has them.

    Raises:
        ConfigError: They cannot be read, or do not belong together.
    """
    if page.cert_file is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(page.cert_file, page.key_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"page.cert_file {page.cert_file} and page.key_file {page.key_file} cannot be used: "
            f"{error.strerror or error}; they must be PEM files this user may read"
        ) from error
