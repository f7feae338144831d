"""The verdict follows from the figures by the rules it prints."""

from dataclasses import replace

import pytest

from trainer.audit.verdict import Area, Observed, judge


def area(auc: float, *, sure: float = 0.03, title: str = "The border") -> Area:
    """A measured area with an interval of this half width."""
    return Area(title=title, auc=auc, ci95=(auc - sure, min(auc + sure, 1)))


NOTHING = Observed(
    whole=area(0.9), blind=[area(0.52), area(0.45)], exposure=area(0.6), elsewhere=None, inseparable=False
)


@pytest.mark.parametrize(
    ("observed", "code"),
    [
        (NOTHING, "clean"),
        (replace(NOTHING, elsewhere=area(0.8)), "clean"),
        (replace(NOTHING, blind=[area(0.71)]), "shortcut"),
        (replace(NOTHING, blind=[area(0.71)], inseparable=True), "shortcut"),
        (replace(NOTHING, blind=[area(0.71, sure=0.22)]), "clean"),
        (replace(NOTHING, blind=[area(0.61)]), "suspicious"),
        (replace(NOTHING, exposure=area(0.72)), "suspicious"),
        (replace(NOTHING, elsewhere=area(0.69)), "suspicious"),
        (replace(NOTHING, elsewhere=area(0.3)), "suspicious"),
        (replace(NOTHING, inseparable=True), "cannot-tell"),
        (replace(NOTHING, whole=area(0.52), exposure=area(0.52)), "cannot-tell"),
        (replace(NOTHING, whole=area(0.52), exposure=area(0.52), elsewhere=area(0.5)), "cannot-tell"),
        (replace(NOTHING, whole=area(0.52), blind=[area(0.8)]), "shortcut"),
    ],
)
def test_each_rule_decides(observed: Observed, code: str):
    """The first that applies; a probe whose interval reaches chance has found nothing."""
    verdict = judge(observed)

    assert verdict.code == code
    assert verdict.reasons
    assert any(rule.startswith(f"{code}:") for rule in verdict.rules)


def test_every_reason_is_given():
    """Not only the one that decides: a reader should see all that speaks against the data, with its figures."""
    observed = Observed(
        whole=area(1.0),
        blind=[area(0.95, title="The frame"), area(0.7, title="The header")],
        exposure=area(0.9, title="Exposure"),
        elsewhere=area(0.55),
        inseparable=True,
    )

    reasons = judge(observed).reasons

    assert len(reasons) == 5
    assert reasons[0] == (
        "The frame alone keeps 90% of the whole image's advantage over chance: AUC 0.950 (95% 0.920 to 0.980) against "
        "1.000."
    )
