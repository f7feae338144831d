"""Where a configuration's values stand: file, environment, flags. A complaint names the line or the variable.

A source is flat: key path to value, `{"broker.address": "localhost"}`. What the keys are is `config`'s affair.
"""

import difflib
import os
import tomllib
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.errors import ConfigError

ENV_PREFIX: Final = "EDGE_AGENT_"
Kinds = Mapping[str, Any]
"""Every key path there is, and the type of its value."""


@dataclass(frozen=True, slots=True)
class Source:
    """One place where values come from.

    Attributes:
        values: Key path to value, as far as given.
        place: Says of a key path where exactly it stands.
    """

    values: Mapping[str, Any]
    place: Callable[[str], str]

    def faults(self, kinds: Kinds) -> list[str]:
        """What is wrong with it, one sentence for each key: no such key, or a value of the wrong kind."""
        found = []
        for key, value in self.values.items():
            if key not in kinds:
                found.append(f"{self.place(key)}: {_unknown(key, kinds)}")
                continue
            try:
                msgspec.convert(value, kinds[key], strict=False)
            except (msgspec.ValidationError, ConfigError) as error:
                found.append(f"{self.place(key)}: {key} is {value!r}: {error}")
        return found


def key_kinds(struct: type[msgspec.Struct], prefix: str = "") -> dict[str, Any]:
    """Every key path of a configuration's type, and the type of its value."""
    kinds: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            kinds |= key_kinds(field.type, f"{prefix}{field.name}.")
        else:
            kinds[prefix + field.name] = field.type
    return kinds


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Key paths taken apart: sections in sections."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *sections, key = path.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[key] = value
    return tree


def from_file(file: Path, kinds: Kinds) -> Source:
    """A TOML file.

    Raises:
        ConfigError: It cannot be read, or is no TOML; the message names the line.
    """
    try:
        text = file.read_text(encoding="utf-8")
        tree = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
    return Source(_flat(tree, kinds), lambda key: f"{file}, line {lines_of(text)[key]}")


def from_environment(environ: Mapping[str, str], kinds: Kinds) -> Source:
    """The variables that begin with EDGE_AGENT_, but for EDGE_AGENT_CONFIG, which names the file.

    Raises:
        ConfigError: A variable of no key.
    """
    keys = {_variable(key): key for key in kinds}
    given: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith(ENV_PREFIX) or name == f"{ENV_PREFIX}CONFIG":
            continue
        if name not in keys:
            raise ConfigError(f"environment: unknown variable {name}{_did_you_mean(name, keys)}")
        origin: object = typing.get_origin(kinds[keys[name]])
        given[keys[name]] = value.split(os.pathsep) if origin is tuple else value
    return Source(given, lambda key: f"environment, {_variable(key)}")


def from_flags(flags: Mapping[str, Any]) -> Source:
    """Options of the command line; None counts as not given."""
    return Source({key: value for key, value in flags.items() if value is not None}, lambda _: "command line")


@cache
def lines_of(text: str) -> Mapping[str, int]:
    """The line of a TOML text, from 1, on which each key and each section is first named.

    The parser itself tells: a key is set by the first lines of the text that hold it, and its statement begins after
    the last lines that do without and are TOML, too. That takes as many readings as there are lines, so it is asked
    only where somebody has to be told.
    """
    lines, found, before = text.split("\n"), dict[str, int](), 0
    for count in range(1, len(lines) + 1):
        try:
            tree = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue  # ends inside a list or a text of several lines
        for key in _paths(tree):
            if key not in found:
                found[key] = 1 + next(at for at in range(before, count) if _says_something(lines[at]))
        before = count
    return found


def _says_something(line: str) -> bool:
    return line.split("#", maxsplit=1)[0].strip() != ""


def _paths(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in tree.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{name}.")


def _flat(tree: Mapping[str, Any], kinds: Kinds, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        path = prefix + name
        if isinstance(value, dict) and value and path not in kinds:
            flat |= _flat(value, kinds, f"{path}.")
        elif not isinstance(value, dict) or path in kinds or not _is_section(path, kinds):
            flat[path] = value
    return flat


def _is_section(path: str, kinds: Kinds) -> bool:
    return any(key.startswith(f"{path}.") for key in kinds)


def _variable(key: str) -> str:
    return ENV_PREFIX + key.upper().replace(".", "_")


def _unknown(key: str, kinds: Kinds) -> str:
    if _is_section(key, kinds):
        return f"{key} is a section, with keys of its own: [{key}]"
    return f"unknown key {key}{_did_you_mean(key, kinds)}"


def _did_you_mean(name: str, names: Mapping[str, Any]) -> str:
    likely = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {likely[0]}?" if likely else "; `edge-agent config show` lists every key"
