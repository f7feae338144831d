"""What can be checked of the deployment files without a Raspberry Pi, a container engine or a running systemd."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converter.cli import build_parser as converter_parser
from doctor.cli import build_parser as doctor_parser
from edge.cli import build_parser as agent_parser
from edge.database import DatabaseError
from edge.errors import BrokerUnreachableError, BundleError, ConfigError, DiskError, OtherAnswersError
from edge.settings.config import AgentConfig, BrokerConfig, known_keys, load

REPOSITORY = Path(__file__).resolve().parents[2]


def test_no_file_names_a_path_of_the_machine_it_was_written_on(deploy: Path) -> None:
    """No deployment file holds the path of this checkout, this user's home or a temporary folder."""
    ours = {str(REPOSITORY), f"{Path.home()}/", "/tmp/"}  # noqa: S108 - looked for
    files = [path for path in deploy.rglob("*") if path.is_file()]

    found = [(path.name, own) for path in files for own in ours - {"//"} if own in path.read_text(encoding="utf-8")]

    assert {path.name for path in files} >= {"mosquitto.conf", "acl", "Dockerfile", "edge-agent.service", "README.md"}
    assert found == []


@pytest.fixture
def example(deploy: Path) -> Path:
    """The example configuration."""
    return deploy / "systemd" / "config.example.toml"


def test_the_example_configuration_is_accepted(example: Path) -> None:
    """The agent takes the example as it stands, and every default it shows is the default."""
    config = load({}, file=example)

    assert (config.device_name, config.broker.host_and_port) == ("box-1", ("broker.example", 8883))
    left_alone = [
        key.partition(".")[0]
        for key in known_keys()
        if key not in {"model", "trust", "site", "device", "watch"} and not key.startswith("broker.")
    ]
    defaults = AgentConfig()
    assert {key: getattr(config, key) for key in left_alone} == {key: getattr(defaults, key) for key in left_alone}
    assert (config.outbox, config.preview, config.privacy, config.alarm) == (
        defaults.outbox, defaults.preview, defaults.privacy, defaults.alarm,
    )  # fmt: skip
    assert config.broker == BrokerConfig(
        address="broker.example",
        tls=True,
        ca_file="/etc/edge-agent/ca.crt",
        cert_file="/etc/edge-agent/box.crt",
        key_file="/etc/edge-agent/box.key",
        first_contact_s=0,
    )


def test_the_example_configuration_names_every_key(example: Path, tmp_path: Path) -> None:
    """With its commented keys switched on, the example sets every key there is, each to a value of the right kind."""
    everything = tmp_path / "everything.toml"
    everything.write_text(re.sub(r"^# (?=[a-z_]+ = )", "", example.read_text(), flags=re.MULTILINE))

    load({}, file=everything)

    values = tomllib.loads(everything.read_text())
    sections = {name: section for name, section in values.items() if isinstance(section, dict)}
    named = (set(values) - set(sections)) | {f"{name}.{key}" for name in sections for key in sections[name]}
    assert named == set(known_keys())


@pytest.fixture
def unit(deploy: Path) -> str:
    """The service's unit file."""
    return (deploy / "systemd" / "edge-agent.service").read_text()


def test_systemd_accepts_the_unit(deploy: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing wrong once the command it starts is one that is installed here."""
    _verify(deploy / "systemd" / "edge-agent.service", "edge-agent", tmp_path)


def test_systemd_accepts_the_doctors_unit(deploy: Path, tmp_path: Path) -> None:
    """The same of the doctor's end."""
    _verify(deploy / "systemd" / "edge-doctor.service", "edge-doctor", tmp_path)


def _verify(unit: Path, command: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze, which Debian ships in the package systemd")
    text, installed = unit.read_text(), f"/opt/edge-xray/venv/bin/{command}"
    assert text.count(installed) == 1
    copy = tmp_path / unit.name
    copy.write_text(text.replace(installed, str(Path(sys.executable).with_name(command))))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, [line for line in done.stderr.splitlines() if copy.name in line]) == (0, [])


def test_the_doctors_service_has_options_it_knows(deploy: Path) -> None:
    """Those of the unit and of its example environment are understood, and name the files that the guide installs."""
    unit = (deploy / "systemd" / "edge-doctor.service").read_text()
    [line] = re.findall(r"^ExecStart=\S+ (.*)$", unit, flags=re.MULTILINE)
    environment = (deploy / "systemd" / "edge-doctor.env.example").read_text()
    [options] = re.findall(r'^EDGE_DOCTOR_OPTIONS="(.*)"$', environment, flags=re.MULTILINE)

    arguments = doctor_parser().parse_args(line.replace("$EDGE_DOCTOR_OPTIONS", options).split())

    assert arguments.behind_proxy
    assert Path(arguments.store).parent == Path("/var/lib/edge-doctor")
    guide = (deploy / "README.md").read_text()
    assert f"--store {arguments.store}" in guide
    assert all(name in guide for name in ("/etc/edge-doctor/inbox.key", "ca.crt inbox.crt /etc/edge-doctor/"))


def test_the_service_starts_the_agent_with_options_it_knows(
    unit: str, start: Callable[..., Any], tmp_path: Path
) -> None:
    """The command line of the unit is understood: all that is wrong with it here is that its file is not there."""
    [line] = re.findall(r"^ExecStart=\S+ (.*)$", unit, flags=re.MULTILINE)

    process = start(sys.executable, "-m", "edge.cli", *line.replace("/etc/edge-agent", str(tmp_path)).split())

    assert process.code() == 78
    assert f"cannot read the configuration file {tmp_path}/config.toml" in process.err[-1]


def test_the_service_and_the_example_agree(unit: str, example: Path) -> None:
    """The folder that the example watches is one that the service may write to."""
    [writable] = re.findall(r"^ReadWritePaths=-(.*)$", unit, flags=re.MULTILINE)

    watched = [Path(folder) for folder in load({}, file=example).watch]

    assert all(folder.is_relative_to(writable) for folder in watched)


def test_the_pip_steps_of_the_dockerfile_make_an_agent_without_tensorflow(deploy: Path, tmp_path: Path) -> None:
    """In an empty virtual environment, with only what the Dockerfile copies, its pip steps give a working agent."""
    dockerfile = (deploy / "docker" / "Dockerfile").read_text()
    context, environment = tmp_path / "src", tmp_path / "venv"
    build_stage = dockerfile.split("\nFROM ")[1]
    for sources in re.findall(r"^COPY (.*) \S+$", build_stage, flags=re.MULTILINE):
        for source in sources.split():
            _copy(REPOSITORY / source, context / source)
    steps = re.findall(r"^RUN (pip .*)$", build_stage, flags=re.MULTILINE)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=60)

    for step in steps:
        _run(environment, *step.split(), "--quiet", "--disable-pip-version-check", folder=context)

    assert len(steps) == 2
    assert _run(environment, "edge-agent", "--version", folder=tmp_path).startswith("edge-agent ")
    assert (
        _run(environment, "python", "-c", "import edge.cli, edge.agent, edge.delivery.publish", folder=tmp_path) == ""
    )
    find = "import importlib.util as u; print([u.find_spec(name) for name in ('tensorflow', 'keras')])"
    assert _run(environment, "python", "-c", find, folder=tmp_path) == "[None, None]\n"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _run(environment: Path, command: str, *arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [environment / "bin" / command, *arguments],
        cwd=folder,
        # Compiling what is never imported would take most of the time.
        env={**os.environ, "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}", "PIP_NO_COMPILE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_build_context_holds_what_the_dockerfile_copies_and_nothing_else(deploy: Path) -> None:
    """`.dockerignore` lets through exactly the files and folders that the Dockerfile asks for."""
    dockerfile = (deploy / "docker" / "Dockerfile").read_text()
    copied = {
        source
        for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, flags=re.MULTILINE)
        for source in sources.split()
    }

    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()

    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == copied


def test_the_guide_uses_options_that_the_commands_have(deploy: Path) -> None:
    """Every command of ours in the guide is one that its command line understands."""
    guide = (deploy / "README.md").read_text()
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    lines = re.findall(r"^(?:sudo -u \S+ )?\S*/bin/edge-(agent|converter|doctor) (.*)$", shell, re.MULTILINE)

    for end, arguments in lines:
        parser = {"agent": agent_parser, "converter": converter_parser, "doctor": doctor_parser}[end]()
        if arguments != "--version":
            parser.parse_args(shlex.split(arguments))  # ends with a message where it does not understand

    assert [end for end, _ in lines] == ["converter", "converter", "doctor", "agent", "agent"]


def test_the_guide_explains_every_exit_code(deploy: Path) -> None:
    """Each exit code the agent can end with has its row, and the unit stops where the guide says so."""
    guide = (deploy / "README.md").read_text()
    unit = (deploy / "systemd" / "edge-agent.service").read_text()
    explained = dict(re.findall(r"^\| (\d+) \|[^|]*\| (yes|no)", guide, re.MULTILINE))

    [prevented] = re.findall(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE)

    ours = {BundleError, BrokerUnreachableError, ConfigError, DatabaseError, DiskError, OtherAnswersError}
    assert {str(error.exit_code) for error in ours} | {"0", "2"} == set(explained)
    assert set(prevented.split()) | {"0"} == {code for code, again in explained.items() if again == "no"}
