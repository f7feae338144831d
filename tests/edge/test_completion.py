"""`completion` prints a script that a real bash completes our commands with."""

import shutil
import subprocess
import sys

import pytest

from converter.cli import build_parser as converter_parser
from doctor.cli import build_parser as doctor_parser
from edge.cli import build_parser as agent_parser
from edge.completion import SHELLS, script


def completed(script: str, prog: str, *words: str) -> list[str]:
    """What bash offers after these words; the last is the one being typed."""
    function = "_" + prog.replace("-", "_")
    typed = " ".join(f"'{word}'" for word in (prog, *words))
    program = (
        f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words)}; {function}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["cl"], ["classify"]),
        (["--watch", "/", "--mqtt"], ["--mqtt-version"]),
        (["--runtime", "tf"], ["tflite-runtime"]),
        (["classify", "--heat"], ["--heatmap"]),
        (["completion", "b"], ["bash"]),
    ],
)
def test_bash_completes_commands_options_and_their_values(words: list[str], offered: list[str]):
    """At each place the words that the parser would take there are offered."""
    text = script(agent_parser(), "bash")

    found = completed(text, "edge-agent", *words)

    assert found == offered


def test_where_any_value_will_do_files_are_offered(tmp_path):
    """An option that takes a file's name completes files."""
    (tmp_path / "config.toml").touch()

    found = completed(script(agent_parser(), "bash"), "edge-agent", "--config", f"{tmp_path}/con")

    assert found == [f"{tmp_path}/config.toml"]


@pytest.mark.parametrize("parser", [agent_parser, doctor_parser, converter_parser])
def test_every_command_of_ours_prints_its_completion(parser):
    """Each shell's script names the command it completes."""
    printed = [script(parser(), shell) for shell in SHELLS]

    assert all(text.rstrip().endswith(f" {parser().prog}") for text in printed)
    assert "bashcompinit" in printed[1]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs a real zsh, which few machines have")
def test_zsh_takes_its_script():
    """Zsh runs the script without complaint."""
    done = subprocess.run(
        ["zsh", "-f", "-c", script(agent_parser(), "zsh")], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_prints_the_script():
    """`edge-agent completion bash` prints it on stdout and nothing else."""
    command = [sys.executable, "-m", "edge.cli", "completion", "bash"]

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == script(agent_parser(), "bash")
