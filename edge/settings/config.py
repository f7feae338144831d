"""TOML file + EDGE_AGENT_* variables + flags -> one frozen value. The later wins; an unknown key is an error.

The environment's name of a key is its path in capitals: `broker.address` is EDGE_AGENT_BROKER_ADDRESS. A list is
written with the path separator: EDGE_AGENT_WATCH=/srv/a:/srv/b.
"""

import os
import socket
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from edge.errors import ConfigError
from edge.settings.delivery import AlarmConfig, OutboxConfig, PreviewConfig, PrivacyConfig
from edge.settings.intake import ArchiveConfig, CameraConfig, DecodeConfig, DicomConfig
from edge.settings.page import HomeAssistantConfig, PageConfig
from edge.settings.sources import Source, from_environment, from_file, from_flags, key_kinds, nested
from edge.wire.topics import check_name

PORT: Final = 1883
TLS_PORT: Final = 8883
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class BrokerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach the MQTT broker.

    Attributes:
        address: `HOST` or `HOST:PORT`; the port is 1883, or 8883 with TLS.
        tls: Encrypt and verify the broker; implied by any of the three files.
        ca_file: Certificates to trust instead of the system's.
        cert_file: This device's certificate.
        key_file: This device's private key.
        username: Sent where a password file is given, or on its own.
        password_file: Holds the password and nothing else; a password on a command line can be read by anybody.
        version: MQTT 5 says when a publish was refused; 3.1.1 does not and is for brokers that know no better.
        prefix: Root of the topic tree.
        keepalive_s: A silent line counts as dead after one and a half of this.
        connect_timeout_s: For the connection and the broker's first answer.
        first_contact_s: A broker that never once answered stops the command with exit code 69 after this long,
            because then the address is probably wrong; 0 waits for ever. A broker that has answered once is waited for
            without end.
    """

    address: str = ""
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    username: str | None = None
    password_file: str | None = None
    version: Literal["5", "3.1.1"] = "5"
    prefix: str = "xray"
    keepalive_s: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 30
    connect_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    first_contact_s: Seconds = 10.0

    def __post_init__(self) -> None:
        """Refuse what cannot work, before a socket is opened."""
        check_name("broker.prefix", self.prefix)
        if (self.cert_file is None) != (self.key_file is None):
            raise ConfigError("broker.cert_file and broker.key_file must be given together")

    @property
    def encrypted(self) -> bool:
        """Whether the line uses TLS."""
        return self.tls or self.ca_file is not None or self.cert_file is not None

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The address taken apart; an IPv6 address stands in brackets.

        Raises:
            ConfigError: Empty, or a port that is no number from 1 to 65535.
        """
        host, colon, port = self.address.rpartition(":")
        if not colon or self.address.endswith("]"):
            host, port = self.address, str(TLS_PORT if self.encrypted else PORT)
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise ConfigError(f"broker.address must be HOST or HOST:PORT, got {self.address!r}")
        return host.strip("[]"), int(port)


class AgentConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the agent can be told.

    Attributes:
        model: The bundle's file.
        trust: Public keys whose bundles the box runs: each the line itself, or the `.pub` file that holds it.
        allow_unsigned: Run a bundle that none of them signed, too; every report then says `"signed": false`.
        allow_older: Run a signed bundle of a lower version than one of its name that ran here before.
        site: The clinic's name in topics.
        device: The box's name in topics; unique at the broker.
        watch: Folders to take images from; finished ones move to `archive/` inside, unreadable ones to `quarantine/`.
        state: Folder of the outbox, on a local disk; by default systemd's, else `.edge-agent` in the first watched one.
        settle_s: A file is read once it has not changed for this long.
        patience_s: A file that cannot be decoded may still be arriving; it is set aside once unchanged for this long.
        runtime: `litert`, `tflite-runtime`, or `auto` for the first that is installed.
        threads: Of the interpreter; by default all cores, at most four.
        receipt_timeout_s: A report without a receipt is sent again after this, then after twice this, and so on.
        log_level: What goes to stderr.
        log_format: How: `text` for people, `json` for programs, one document a line.
        decode: What decoding one picture may take.
        dicom: Images that come over DICOM's network protocol.
        camera: Pictures of films on a light box.
        archive: How long originals are kept.
        broker: How to reach the broker.
        outbox: When the outbox counts as full.
        preview: The small picture that follows a report.
        privacy: What of a patient leaves the box.
        alarm: When somebody at the clinic should look.
        page: The clinic's page.
        homeassistant: Whether and how the box is announced to Home Assistant.
    """

    model: str = ""
    trust: tuple[str, ...] = ()
    allow_unsigned: bool = False
    allow_older: bool = False
    site: str = "clinic"
    device: str = ""
    watch: tuple[str, ...] = ()
    state: str | None = None
    settle_s: Seconds = 1.0
    patience_s: Seconds = 10.0
    runtime: Literal["auto", "litert", "tflite-runtime"] = "auto"
    threads: Annotated[int, msgspec.Meta(ge=1)] | None = None
    receipt_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 15.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    decode: DecodeConfig = DecodeConfig()
    dicom: DicomConfig = DicomConfig()
    camera: CameraConfig = CameraConfig()
    archive: ArchiveConfig = ArchiveConfig()
    broker: BrokerConfig = BrokerConfig()
    outbox: OutboxConfig = OutboxConfig()
    preview: PreviewConfig = PreviewConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    alarm: AlarmConfig = AlarmConfig()
    page: PageConfig = PageConfig()
    homeassistant: HomeAssistantConfig = HomeAssistantConfig()

    def __post_init__(self) -> None:
        """Refuse names that would change the meaning of a topic."""
        check_name("site", self.site)
        check_name("device", self.device_name)

    @property
    def device_name(self) -> str:
        """The configured device, else this machine's name as far as a topic can hold it."""
        return self.device or "".join(c if c.isascii() and c.isalnum() else "-" for c in socket.gethostname()).strip(
            "-"
        )

    @property
    def model_path(self) -> Path:
        """The bundle's file.

        Raises:
            ConfigError: None was given.
        """
        if not self.model:
            raise ConfigError("no model: give --model BUNDLE, or `model = ...` in the configuration file")
        return Path(self.model)

    @property
    def state_dir(self) -> Path:
        """The folder of the outbox.

        Raises:
            ConfigError: It cannot be told, because nothing is watched.
        """
        if chosen := self.state or os.environ.get("STATE_DIRECTORY"):
            return Path(chosen)
        if not self.watch:
            if self.dicom.port is not None or self.camera.enabled:
                raise ConfigError("no folder for the outbox: give --state DIR, because no folder is watched")
            raise ConfigError("nothing to do: give --watch DIR, or `watch = [...]` in the configuration file")
        return Path(self.watch[0]) / ".edge-agent"


def load(
    flags: Mapping[str, Any], *, file: Path | None = None, environ: Mapping[str, str] = types.MappingProxyType({})
) -> AgentConfig:
    """Merge file, environment and flags.

    Args:
        flags: Key path to value: `{"broker.address": "localhost"}`; None values count as not given.
        file: A TOML file.
        environ: The process's environment; only names that begin with EDGE_AGENT_ are looked at.

    Raises:
        ConfigError: An unreadable file, an unknown key or a value of the wrong kind; the message names place and key.
    """
    return load_with_sources(flags, file=file, environ=environ)[0]


def load_with_sources(
    flags: Mapping[str, Any], *, file: Path | None, environ: Mapping[str, str]
) -> tuple[AgentConfig, Mapping[str, Source]]:
    """Merge as `load` does, and say of each key that was given which source has it.

    Raises:
        ConfigError: As `load`; every fault of every source on a line of its own.
    """
    kinds = known_keys()
    sources = [from_environment(environ, kinds), from_flags(flags)]
    if file is not None:
        sources.insert(0, from_file(file, kinds))
    if faults := [fault for source in sources for fault in source.faults(kinds)]:
        raise ConfigError("\n".join(faults))
    values = {key: value for source in sources for key, value in source.values.items()}
    given = {key: source for source in sources for key in source.values}
    try:
        return msgspec.convert(nested(values), AgentConfig, strict=False), given
    except (ConfigError, msgspec.ValidationError) as error:  # what no key shows on its own; it begins with the key
        key = str(error).split(maxsplit=1)[0]
        raise ConfigError(f"{given[key].place(key) if key in given else 'configuration'}: {error}") from error


def broker_config(values: Mapping[str, Any]) -> BrokerConfig:
    """The broker's part alone, from flags; None values count as not given.

    Raises:
        ConfigError: A value of the wrong kind; the message names the key.
    """
    return load({f"broker.{key}": value for key, value in values.items()}).broker


def known_keys() -> dict[str, Any]:
    """Every key path of the configuration and the type of its value."""
    return key_kinds(AgentConfig)
