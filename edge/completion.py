"""`COMMAND completion bash|zsh`: what a shell needs to complete a command's options, made from its own parser.

Nothing is looked up while a person types: the script holds the words. It is printed anew after an update.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

SHELLS: Final = ("bash", "zsh")
_SCRIPT: Final = """\
# Completion of {prog} in bash and zsh; made by `{prog} completion`.
{zsh}{function}() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" path="" word
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$path $word" in
{descents}
        esac
    done
    case "$path $before" in
{values}
    esac
    case "$path" in
{words}
    esac
    [ "${{#COMPREPLY[@]}}" -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}}
complete -o filenames -F {function} {prog}
"""
_FOR_ZSH: Final = "autoload -Uz bashcompinit compinit && compinit && bashcompinit\n"


@dataclass(frozen=True, slots=True)
class _Level:
    """One command on the way down: `""` is the command itself, `" config show"` a command of its command.

    Attributes:
        path: Its words, each after a space.
        words: What may follow: options and commands.
        choices: Option to the values it takes; empty where any will do, such as a file's name.
        commands: The commands below it.
    """

    path: str
    words: tuple[str, ...]
    choices: dict[str, tuple[str, ...]]
    commands: tuple[str, ...]


def add(commands: Any, build_parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Add the command `completion` to a parser's commands."""
    parser = commands.add_parser(
        "completion",
        help="print what your shell needs to complete this command",
        description="Print what your shell needs to complete this command.",
        epilog='bash: eval "$(COMMAND completion bash)" in ~/.bashrc. zsh: the same with zsh in ~/.zshrc.',
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(command=lambda arguments: _print(script(build_parser(), arguments.shell)))


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for one shell; zsh runs bash's through its own `bashcompinit`."""
    levels = list(_levels(parser, ""))
    return _SCRIPT.format(
        prog=parser.prog,
        zsh=_FOR_ZSH if shell == "zsh" else "",
        function="_" + parser.prog.replace("-", "_"),
        descents="\n".join(
            f'            "{level.path} {command}") path="{level.path} {command}" ;;'
            for level in levels
            for command in level.commands
        )
        or "            *) ;;",
        values="\n".join(
            f'        "{level.path} {option}") {_reply(choices)} return ;;'
            for level in levels
            for option, choices in level.choices.items()
        ),
        words="\n".join(f'        "{level.path}") {_reply(level.words)} ;;' for level in levels),
    )


def _reply(words: tuple[str, ...]) -> str:
    return (
        f'COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$current"));'
        if words
        else ('COMPREPLY=($(compgen -f -- "$current"));')
    )


def _levels(parser: argparse.ArgumentParser, path: str) -> Iterator[_Level]:
    words: list[str] = []
    choices: dict[str, tuple[str, ...]] = {}
    below: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to look at what was added
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - likewise
            below = dict(action.choices)
        elif not action.option_strings:
            words += [str(choice) for choice in action.choices or ()]
        else:
            words += action.option_strings
            if action.nargs != 0:
                values = tuple(str(choice) for choice in action.choices or ())
                choices |= dict.fromkeys(action.option_strings, values)
    yield _Level(path, (*below, *words), choices, tuple(below))
    for name, child in below.items():
        yield from _levels(child, f"{path} {name}")


def _print(text: str) -> int:
    print(text, end="")
    return 0
