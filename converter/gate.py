"""The budget: how far the shipped file may be from the models it stands for, and who may say that it may be further."""

import logging
from typing import Final

from edge.bundle.bundle import Parity
from edge.errors import GateError

MIN_AGREEMENT: Final = 0.995
"""Share of decisions equal to the refitted model's."""
MAX_PROBABILITY_SHIFT: Final = 0.03
"""Of any probability, from the refitted model's."""
MAX_ACCURACY_DROP: Final = 0.005
"""Below the trainer's float model's."""
MAX_AUC_DROP: Final = 0.005
"""Likewise."""
_ROUNDING: Final = 1e-9
"""199 of 200 are 0.995, and 0.985 - 0.980 is 0.005, whatever the last bits of a float say."""

log = logging.getLogger(__name__)


def sentence(parity: Parity) -> str:
    """The figures in words."""
    return (
        f"on {parity.n} held-out images {parity.agreement:.1%} of the int8 model's decisions are the refitted model's, "
        f"and no probability lies more than {parity.max_probability_shift:.3f} from its; {parity.float_agreement:.1%} "
        f"are the float model's, accuracy falls by {parity.accuracy_drop:.3f} and AUC by {parity.auc_drop:.4f}"
    )


def exceeded(parity: Parity) -> tuple[str, ...]:
    """Which figures are beyond the budget, each as a clause; none where the file decides like what it stands for."""
    clauses = {
        f"{parity.agreement:.1%} of the decisions are the refitted model's, at least {MIN_AGREEMENT:.1%} must be": (
            MIN_AGREEMENT - parity.agreement
        ),
        f"a probability lies {parity.max_probability_shift:.3f} from the refitted model's, at most "
        f"{MAX_PROBABILITY_SHIFT} is allowed": parity.max_probability_shift - MAX_PROBABILITY_SHIFT,
        f"the accuracy is {parity.accuracy_drop:.3f} below the float model's, at most {MAX_ACCURACY_DROP} is allowed": (
            parity.accuracy_drop - MAX_ACCURACY_DROP
        ),
        f"the area under the ROC curve is {parity.auc_drop:.4f} below the float model's, at most {MAX_AUC_DROP} is "
        "allowed": parity.auc_drop - MAX_AUC_DROP,
    }
    return tuple(clause for clause, excess in clauses.items() if excess > _ROUNDING)


def check(parity: Parity) -> None:
    """The gate: refuse a file that does not decide like the models it stands for.

    Raises:
        GateError: A figure is beyond the budget; the message names each.
    """
    found = exceeded(parity)
    if found:
        raise GateError(
            f"on {parity.n} held-out images the int8 model does not decide like the models it stands for: "
            f"{'; '.join(found)}; train with another seed or recipe, or let it pass with --allow REASON: the card and "
            "every report will then say so"
        )


def allowed(parity: Parity, reason: str | None) -> str | None:
    """Ask the gate.

    Args:
        parity: What was measured.
        reason: Why the file may be shipped although it exceeds the budget; None where nobody gave one.

    Returns:
        The reason, if it was needed.

    Raises:
        GateError: A figure is beyond the budget and no reason was given.
    """
    if reason is None:
        check(parity)
        return None
    beyond = exceeded(parity)
    if not beyond:
        log.info("--allow was not needed: all figures are within the budget, and the card says nothing of it")
        return None
    log.warning("let pass because %r: %s; the card and every report say so", reason, "; ".join(beyond))
    return reason
