"""`edge-agent config check | show`, as a technician runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "edge.cli", "config", *map(str, arguments)]
    env = {"PATH": "/usr/bin", "PYTHONPATH": str(Path(__file__).parents[3]), **environ}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file."""
    path = tmp_path / "config.toml"
    path.write_text('site = "hill"\n\n[broker]\n# where it is\naddress = "broker.example"\n')
    return path


def test_a_right_configuration_is_in_order(file: Path):
    """Exit code 0, and a line that says so."""
    done = run("check", "--config", file)

    assert (done.returncode, done.stdout.split(":")[0], done.stderr) == (0, "in order", "")


def test_a_wrong_one_ends_with_78_and_names_line_and_key(file: Path):
    """The technician learns where to look."""
    file.write_text(file.read_text() + 'adress = "x"\n')

    done = run("check", "--config", file)

    assert done.returncode == 78
    assert f"{file}, line 6: unknown key broker.adress; did you mean broker.address?" in done.stderr


def test_each_value_is_shown_with_its_place(file: Path):
    """The environment stands above the file, and what nobody has set is a default."""
    done = run("show", "--config", file, "--json", EDGE_AGENT_SITE="valley")

    shown = json.loads(done.stdout)
    assert shown["site"] == {"value": "valley", "from": "environment, EDGE_AGENT_SITE"}
    assert shown["broker.address"] == {"value": "broker.example", "from": f"{file}, line 5"}
    assert shown["broker.prefix"] == {"value": "xray", "from": "default"}


def test_the_file_may_be_named_by_the_environment(file: Path):
    """EDGE_AGENT_CONFIG does what --config does."""
    done = run("show", EDGE_AGENT_CONFIG=str(file))

    assert f'site = "hill"  # {file}, line 1' in done.stdout.splitlines()
