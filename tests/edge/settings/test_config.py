"""File, environment and flags become one frozen value; an unknown key is an error."""

from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.settings.config import AgentConfig, BrokerConfig, known_keys, load


def test_flags_win_over_environment_over_file(tmp_path: Path):
    """The later source wins, key by key."""
    file = tmp_path / "config.toml"
    file.write_text('site = "file"\ndevice = "file"\nmodel = "file"\n[broker]\naddress = "file"\nprefix = "file"\n')
    environ = {"EDGE_AGENT_DEVICE": "env", "EDGE_AGENT_MODEL": "env", "EDGE_AGENT_BROKER_ADDRESS": "env", "HOME": "/"}

    config = load({"model": "flag", "site": None}, file=file, environ=environ)

    assert (config.site, config.device, config.model) == ("file", "env", "flag")
    assert (config.broker.address, config.broker.prefix) == ("env", "file")


def test_every_key_can_come_from_the_environment():
    """Numbers, truth values and lists are written as text."""
    environ = {
        "EDGE_AGENT_WATCH": "/a:/b",
        "EDGE_AGENT_TRUST": "/a.pub:ed25519-00",
        "EDGE_AGENT_ALLOW_UNSIGNED": "false",
        "EDGE_AGENT_BROKER_TLS": "true",
        "EDGE_AGENT_SETTLE_S": "2.5",
    }

    config = load({}, environ=environ)

    assert config.watch == ("/a", "/b")
    assert config.trust == ("/a.pub", "ed25519-00")
    assert (config.broker.tls, config.allow_unsigned) == (True, False)
    assert config.settle_s == 2.5
    assert {"watch", "broker.tls"} <= set(known_keys())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('sight = "a"', r"config\.toml, line 1: unknown key sight; did you mean site\?"),
        (
            '[broker]\n\nadress = "a"',
            r"config\.toml, line 3: unknown key broker\.adress; did you mean broker\.address\?",
        ),
        ("[zzz]\nqqq = 1", r"config\.toml, line 2: unknown key zzz\.qqq; .*config show"),
        ("broker = 3", r"config\.toml, line 1: broker is a section"),
        ("\n# a comment\nsettle_s = -1", r"config\.toml, line 3: settle_s is -1: .*>= 0"),
        ('threads = "many"', r"config\.toml, line 1: threads is 'many': .*`int"),
        ('runtime = "gpu"', r"config\.toml, line 1: runtime"),
        ('watch = [\n  "a",\n  3,\n]\nthreads = 2', r"config\.toml, line 1: watch is .*`str`, got `int`"),
        ('threads = 2\nsite = "a/b"', r"config\.toml, line 2: site must be"),
        ('[broker]\ncert_file = "a"', r"config\.toml, line 2: broker\.cert_file and"),
        ("threads = 2\nsite = !\n", r"config\.toml is not TOML: .*line 2"),
    ],
)
def test_a_wrong_file_names_file_line_and_key(tmp_path: Path, text: str, complaint: str):
    """The error says where to look."""
    file = tmp_path / "config.toml"
    file.write_text(text)

    with pytest.raises(ConfigError, match=complaint) as caught:
        load({}, file=file)

    assert caught.value.exit_code == 78


def test_every_fault_is_named_at_once(tmp_path: Path):
    """Nobody has to run the check once for each typing error."""
    file = tmp_path / "config.toml"
    file.write_text('sight = "a"\nsettle_s = "soon"\n')

    with pytest.raises(ConfigError) as caught:
        load({}, file=file, environ={"EDGE_AGENT_THREADS": "0"})

    assert [line.split(": ")[0].rsplit("/")[-1] for line in str(caught.value).splitlines()] == [
        "config.toml, line 1", "config.toml, line 2", "environment, EDGE_AGENT_THREADS",
    ]  # fmt: skip


def test_what_belongs_together_may_come_from_two_places(tmp_path: Path):
    """A key in the file and its partner in the environment make one configuration."""
    file = tmp_path / "config.toml"
    file.write_text('[broker]\ncert_file = "box.crt"\n')

    config = load({}, file=file, environ={"EDGE_AGENT_BROKER_KEY_FILE": "box.key"})

    assert (config.broker.cert_file, config.broker.key_file) == ("box.crt", "box.key")


def test_an_unknown_variable_is_an_error():
    """A typing error in the environment does not pass in silence."""
    with pytest.raises(ConfigError, match="unknown variable EDGE_AGENT_BROKER"):
        load({}, environ={"EDGE_AGENT_BROKER": "localhost"})


def test_a_missing_file_is_an_error(tmp_path: Path):
    """A file that was named must be there."""
    with pytest.raises(ConfigError, match="cannot read the configuration file"):
        load({}, file=tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (BrokerConfig(address="host"), ("host", 1883)),
        (BrokerConfig(address="host", tls=True), ("host", 8883)),
        (BrokerConfig(address="host", ca_file="ca.pem"), ("host", 8883)),
        (BrokerConfig(address="host:99", tls=True), ("host", 99)),
        (BrokerConfig(address="[::1]"), ("::1", 1883)),
        (BrokerConfig(address="[::1]:99"), ("::1", 99)),
    ],
)
def test_an_address_is_host_and_perhaps_port(config: BrokerConfig, expected: tuple[str, int]):
    """The port defaults to MQTT's, with or without TLS."""
    assert config.host_and_port == expected


@pytest.mark.parametrize("address", ["", ":99", "host:", "host:x", "host:0", "host:65536"])
def test_a_bad_address_is_refused(address: str):
    """The error repeats what came."""
    with pytest.raises(ConfigError, match="HOST or HOST:PORT"):
        _ = BrokerConfig(address=address).host_and_port


def test_the_state_lies_with_the_first_watched_folder(monkeypatch: pytest.MonkeyPatch):
    """Unless systemd or the configuration says otherwise."""
    config = AgentConfig(watch=("/a", "/b"))

    assert config.state_dir == Path("/a/.edge-agent")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edge-agent")
    assert config.state_dir == Path("/var/lib/edge-agent")
    assert AgentConfig(watch=("/a",), state="/s").state_dir == Path("/s")


def test_the_device_defaults_to_a_name_that_a_topic_can_hold(monkeypatch: pytest.MonkeyPatch):
    """A machine's name may hold dots and more."""
    monkeypatch.setattr("socket.gethostname", lambda: "box_1.clinic.local")

    assert AgentConfig().device_name == "box-1-clinic-local"
