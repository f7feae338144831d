"""Bundle and signature, runtime, operators, and whether the model decides here as it did where it was made."""

import platform
from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from edge.bundle.bundle import Bundle, read_bundle
from edge.bundle.signature import Trust
from edge.checks.check import Check, all_skipped
from edge.classify import DISTRIBUTIONS, Classifier, installed_runtimes
from edge.errors import BundleError, ConfigError
from edge.golden import CURE, Golden, rerun
from edge.operators import operators_of
from edge.settings.config import AgentConfig

BUNDLE: Final = "bundle"
OPERATORS: Final = "operators"
RUNTIME: Final = "runtime"
KNOWN: Final = "known pictures"


def model_checks(config: AgentConfig) -> Iterator[Check]:
    """Load the model as the agent would, and let it answer what it was asked where it was made."""
    try:
        bundle = read_bundle(config.model_path, Trust.of(config.trust, allow_unsigned=config.allow_unsigned))
    except (BundleError, ConfigError) as error:
        yield Check.failed_with(BUNDLE, error)
        yield from all_skipped((OPERATORS, RUNTIME, KNOWN), "there is no bundle that may be run")
        return
    yield _bundle(bundle)
    yield _operators(bundle, config)
    try:
        classifier = Classifier(bundle.model, runtime=config.runtime, threads=config.threads)
    except (BundleError, ConfigError) as error:
        yield Check.failed_with(RUNTIME, error)
        yield from all_skipped((KNOWN,), "nothing runs the model")
        return
    yield _runtime(classifier)
    yield _known_pictures(bundle, classifier)


def _bundle(bundle: Bundle) -> Check:
    if bundle.signer is None:
        return Check.warn(
            BUNDLE,
            f"{bundle.model_id} is not signed by a key that this box trusts; every report says so",
            cure="let whoever answers for the model sign it (`edge-converter sign`) and give --trust KEY",
        )
    return Check.ok(
        BUNDLE, f"{bundle.model_id}, version {bundle.card.version}, signed by the trusted key {bundle.signer}"
    )


def _operators(bundle: Bundle, config: AgentConfig) -> Check:
    """Whether the model's operators are those of its card, and the runtime knows them."""
    try:
        found = operators_of(bundle.model)
    except BundleError as error:
        return Check.failed_with(OPERATORS, error)
    listed = ", ".join(f"{name} {number}" for name, number in found.items())
    card = bundle.card
    if card.operators and card.operators != found:
        stated = ", ".join(f"{name} {number}" for name, number in card.operators.items())
        return Check.fail(
            OPERATORS,
            f"the model has {listed}, and its card speaks of {stated}",
            cure="get the bundle anew from whoever made it",
        )
    runtime = next(iter(installed_runtimes()), "litert") if config.runtime == "auto" else config.runtime
    if runtime == "tflite-runtime" and _parts(card.oldest_runtime) > _parts(version(DISTRIBUTIONS[runtime])):
        return Check.fail(
            OPERATORS,
            f"the model needs TensorFlow Lite {card.oldest_runtime}, tflite-runtime has an older one",
            cure="install ai-edge-litert and leave `runtime` at auto",
        )
    needed = f", known since TensorFlow Lite {card.oldest_runtime}" if card.oldest_runtime else ""
    return Check.ok(OPERATORS, f"{listed}{needed}")


def _parts(number: str) -> tuple[int, ...]:
    """A version's numbers, for comparing; none of what is not said."""
    return tuple(int(part) for part in number.split(".") if part.isdecimal())


def _runtime(classifier: Classifier) -> Check:
    name = DISTRIBUTIONS[classifier.runtime]
    text = f"{name} {version(name)} runs the model on {platform.machine()}"
    if not classifier.accelerated:
        return Check.warn(
            RUNTIME,
            f"{text}, without XNNPACK: several times slower than it could be",
            cure="install ai-edge-litert and leave `runtime` at auto",
        )
    return Check.ok(RUNTIME, f"{text}, with XNNPACK")


def _known_pictures(bundle: Bundle, classifier: Classifier) -> Check:
    if bundle.golden is None:
        return Check.warn(
            KNOWN,
            "the bundle carries none, so nobody knows whether it decides here as where it was made",
            cure="ask whoever made it for one that does (`edge-converter golden BUNDLE --out BUNDLE2 --key KEY`)",
        )
    try:
        found = rerun(Golden.from_json(bundle.golden), classifier, bundle.card)
    except BundleError as error:
        return Check.failed_with(KNOWN, error)
    return Check.ok(KNOWN, str(found)) if found.passed else Check.fail(KNOWN, str(found), cure=CURE)
