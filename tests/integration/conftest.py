"""A broker as `deploy/mosquitto/` configures it: its very files, with certificates made on the spot by its script."""

import getpass
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SCRIPT = DEPLOY / "mosquitto" / "make-certificates.sh"


def make_certificates(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the script that technicians run."""
    return subprocess.run([SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="session")
def deploy() -> Path:
    """The folder of the deployment files."""
    return DEPLOY


@pytest.fixture(name="make_certificates")
def fixture_make_certificates() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the certificate script; arguments are its own."""
    return make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates: `ours` with broker, boxes and inbox, `foreign` with a box of another CA."""
    if shutil.which("openssl") is None:
        pytest.fail("needs openssl; on Debian: sudo apt-get install openssl")
    folder = tmp_path_factory.mktemp("certificates")
    ours, foreign = folder / "ours", folder / "foreign"
    for arguments in (
        ("ca", ours),
        ("server", ours, "localhost,127.0.0.1"),
        ("client", ours, "box-1", "box-2", "inbox", "watch"),
        ("ca", foreign),
        ("client", foreign, "box-1", "inbox"),
    ):
        done = make_certificates(*arguments)
        if done.returncode != 0:
            pytest.fail(f"{SCRIPT.name} {arguments} ended with {done.returncode}: {done.stderr}")
    return folder


class TlsBroker:
    """A real mosquitto with the deployed files; only port, interface, folders and user are of this machine."""

    def __init__(self, start: Callable[..., object], certificates: Path, folder: Path, acl: str) -> None:
        self._certificates = certificates
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        (folder / "acl").write_text(acl)
        (folder / "acl").chmod(0o600)
        (folder / "persistence").mkdir()
        config = _substituted(
            (DEPLOY / "mosquitto" / "mosquitto.conf").read_text(),
            {
                "listener 8883\n": f"listener {port} 127.0.0.1\n",
                "user mosquitto\n": f"user {getpass.getuser()}\n",
                "cafile /etc/mosquitto/certs/": f"cafile {certificates}/ours/",
                "certfile /etc/mosquitto/certs/": f"certfile {certificates}/ours/",
                "keyfile /etc/mosquitto/certs/": f"keyfile {certificates}/ours/",
                "acl_file /etc/mosquitto/": f"acl_file {folder}/",
                "persistence_location /var/lib/mosquitto/": f"persistence_location {folder}/persistence/",
            },
        )
        (folder / "mosquitto.conf").write_text(config)
        self.process = start("mosquitto", "-c", folder / "mosquitto.conf")
        self.process.wait_for_line(" running", timeout_s=10)

    def certificate(self, name: str | None, ca: str = "ours") -> dict[str, str]:
        """What a client needs to trust this broker and to show whose certificate it holds, by configuration key."""
        files = {"ca_file": str(self._certificates / "ours" / "ca.crt")}
        if name is not None:
            own = self._certificates / ca / name
            files |= {"cert_file": f"{own}.crt", "key_file": f"{own}.key"}
        return files

    def flags(self, name: str | None, ca: str = "ours") -> list[str]:
        """The same as options of the commands."""
        files = self.certificate(name, ca)
        return [part for key, file in files.items() for part in (f"--{key.replace('_', '-')}", file)]


def _substituted(text: str, replacements: dict[str, str]) -> str:
    for old, new in replacements.items():
        if text.count(old) != 1:
            pytest.fail(f"expected {old!r} once in the deployed configuration, found it {text.count(old)} times")
        text = text.replace(old, new)
    return text


@pytest.fixture
def make_tls_broker(start: Callable[..., object], certificates: Path, tmp_path: Path) -> Callable[[str], TlsBroker]:
    """Start the deployed broker with an ACL."""

    def make(acl: str) -> TlsBroker:
        folder = tmp_path / "mosquitto"
        folder.mkdir()
        return TlsBroker(start, certificates, folder, acl)

    return make


@pytest.fixture
def tls_broker(make_tls_broker: Callable[[str], TlsBroker]) -> TlsBroker:
    """The deployed broker with the deployed ACL."""
    return make_tls_broker((DEPLOY / "mosquitto" / "acl").read_text())
