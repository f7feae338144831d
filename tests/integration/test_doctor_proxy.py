"""The doctor's pages behind a real nginx with the deployed file: encrypted, live, and with cookies for HTTPS only."""

import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

PASSWORD = "correct horse battery staple"  # noqa: S105 - known to everybody


def free_port() -> int:
    """A port of the loopback interface that nobody holds."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture
def pages_port(start: Callable[..., object], mosquitto, tmp_path: Path) -> int:
    """A running `edge-doctor --behind-proxy` with one account."""
    port, store = free_port(), tmp_path / "inbox.sqlite3"
    command = [sys.executable, "-m", "doctor.cli"]
    options = ["--broker", mosquitto.address, "--http", f"127.0.0.1:{port}", "--behind-proxy", "--store", store]
    process = start(*command, *options)
    process.wait_for_line("The pages:")
    account = ["account", "add", "ada", "--reader", "Dr. Ada Reader", "--store", str(store)]
    subprocess.run([*command, *account], input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)
    return port


@pytest.fixture
def proxy(start: Callable[..., object], deploy: Path, certificates: Path, pages_port: int, tmp_path: Path) -> str:
    """Nginx with the deployed file; only ports, certificates and folders are of this machine."""
    if shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
        pytest.fail("needs a real nginx; on Debian: sudo apt-get install nginx")
    port = free_port()
    site = (deploy / "nginx" / "edge-doctor.conf").read_text()
    for deployed, here in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        ("127.0.0.1:8042", f"127.0.0.1:{pages_port}"),
        ("/etc/edge-doctor/web.crt", f"{certificates}/ours/server.crt"),
        ("/etc/edge-doctor/web.key", f"{certificates}/ours/server.key"),
    ):
        assert site.count(deployed) == 1, deployed
        site = site.replace(deployed, here)
    bodies = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "site.conf").write_text(site)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/nginx.pid; error_log stderr warn; events {{}}\n"
        f"http {{ access_log off; {bodies} include {tmp_path}/site.conf; }}\n"
    )
    start("/usr/sbin/nginx", "-c", tmp_path / "nginx.conf")
    deadline_s = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline_s, "nginx did not start"
            time.sleep(0.05)
        else:
            return f"https://localhost:{port}"


@pytest.fixture
def client(proxy: str, certificates: Path) -> Iterator[httpx.Client]:
    """A client that trusts our CA and nothing else, signed in."""
    trust = ssl.create_default_context(cafile=certificates / "ours" / "ca.crt")
    with httpx.Client(base_url=proxy, verify=trust, headers={"accept": "text/html", "origin": proxy}) as client:
        client.answer = client.post("/login", data={"name": "ada", "password": PASSWORD})
        yield client


def test_a_doctor_signs_in_over_https(client):
    """The cookie goes over HTTPS only, and the browser is told to stay there."""
    assert client.answer.status_code == 303, client.answer.text
    cookie = client.answer.headers["set-cookie"].lower()
    assert "secure" in cookie
    assert "httponly" in cookie
    page = client.get("/")
    assert page.status_code == 200
    assert "Dr. Ada Reader" in page.text
    assert page.headers["strict-transport-security"]


def test_what_is_new_comes_through_at_once(client):
    """The proxy does not keep events back until it has a bufferful of them."""
    with client.stream("GET", "/events", headers={"accept": "text/event-stream"}, timeout=10) as stream:
        first = next(stream.iter_lines())

    assert stream.status_code == 200
    assert first is not None


def test_a_large_body_is_refused_before_it_reaches_the_pages(client):
    """No page of ours sends so much."""
    assert client.post("/login", content=b"x" * 100_000).status_code == 413
