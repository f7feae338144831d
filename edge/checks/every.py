"""Every check, along the pipeline: the model, then the box, then the line to the doctor."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from edge.checks.broker import broker_checks
from edge.checks.check import Check, State
from edge.checks.clinic import answers_check, page_check
from edge.checks.doors import camera_check, dicom_check
from edge.checks.machine import clock_check, state_checks, watch_checks
from edge.checks.model import model_checks
from edge.settings.config import AgentConfig

Looks = Callable[[AgentConfig], Iterator[Check]]
"""Looks at one thing, or at several that depend on each other, and yields what it found as soon as it has."""

CHECKS: Final[tuple[Looks, ...]] = (
    model_checks,
    watch_checks,
    dicom_check,
    camera_check,
    state_checks,
    clock_check,
    page_check,
    broker_checks,
    answers_check,
)


def every_check(config: AgentConfig) -> Iterator[Check]:
    """Look at everything, in order."""
    for look in CHECKS:
        yield from look(config)


def checks_but_for_the_line(config: AgentConfig) -> Iterator[Check]:
    """Look at everything but the line to the broker: for an agent that is connected."""
    for look in CHECKS:
        if look is not broker_checks:
            yield from look(config)


def ready(checks: Iterable[Check]) -> bool:
    """Whether none has failed."""
    return all(check.state is not State.FAIL for check in checks)


def as_result(checks: Iterable[Check]) -> dict[str, str]:
    """What a self-test answers with: name to `ok`, or to the state and what was found."""
    return {check.name: "ok" if check.state is State.OK else f"{check.state.value}: {check.text}" for check in checks}
