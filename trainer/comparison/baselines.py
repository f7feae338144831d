"""The methods that the paper's related work names, fitted to the same images and the same split as the networks.

Batista et al. (2020), Mei et al. (2020, the paper's "Xueyan .M et al") and Li et al. (2021, its "Wei Tse. L et al")
worked on other data; here their methods get each image's features. Invariant: whatever is fitted, chosen or scaled is
so on the training part alone. Settings are fixed but for one: how strongly ridge and lasso pull on their weights is
chosen by cross-validation inside the training part.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier

from edge.errors import DataError

WIDEST: Final = 1024
"""Features wider than this (those of pixels) are first reduced to `COMPONENTS` principal components."""
COMPONENTS: Final = 128
FOLDS: Final = 5
"""Of the cross-validation inside the training part."""
PULLS: Final = tuple(float(pull) for pull in np.logspace(-4, 1, 6))
"""What ridge and lasso choose from: the inverse of how strongly they pull, scikit-learn's C."""
PASSES: Final = 500
"""At most, of the multilayer perceptron over the images."""

Table = npt.NDArray[np.float32]
"""One row of numbers per image."""


@dataclass(frozen=True, slots=True)
class Method:
    """One classical method.

    Attributes:
        name: In files.
        title: For people.
        study: Whose work the paper's related work names it from.
        settings: Everything that is not scikit-learn's or XGBoost's default, in words.
        build: Seed -> an estimator that is not fitted yet.
        clinical: True where it reads the clinical columns beside the image.
    """

    name: str
    title: str
    study: str
    settings: str
    build: Callable[[int], Any]
    clinical: bool = False


def _forest(seed: int) -> Any:
    return RandomForestClassifier(n_estimators=300, n_jobs=-1, random_state=seed)


def _logistic(seed: int, l1_ratio: float) -> Any:
    return OneVsRestClassifier(
        LogisticRegressionCV(
            Cs=PULLS,
            cv=FOLDS,
            l1_ratios=(l1_ratio,),
            scoring="neg_log_loss",
            solver="liblinear",
            max_iter=5000,
            random_state=seed,
            use_legacy_attributes=False,
        )
    )


def _boosting(seed: int) -> Any:
    return GradientBoostingClassifier(n_estimators=300, subsample=0.5, max_features="sqrt", random_state=seed)


def _xgboost(seed: int) -> Any:
    # One thread: with this few rows, threads spend their time waiting for each other.
    return XGBClassifier(
        n_estimators=200,
        max_depth=3,
        learning_rate=0.1,
        subsample=0.8,
        colsample_bytree=0.3,
        n_jobs=1,
        random_state=seed,
    )


def _perceptron(seed: int) -> Any:
    return MLPClassifier((128,), alpha=1e-3, max_iter=PASSES, random_state=seed)


_PULL: Final = f"C of {PULLS[0]:g} to {PULLS[-1]:g} by {FOLDS}-fold cross-validated log loss"
_BATISTA: Final = "Batista et al. 2020"
_LAYER: Final = f"one hidden layer of 128 ReLU, weight decay 0.001, Adam, until the loss rests or {PASSES} passes"

METHODS: Final = (
    Method("svm", "support vector machine", _BATISTA, "RBF kernel, C 1", lambda _: SVC()),
    Method("random-forest", "random forest", _BATISTA, "300 trees", _forest),
    Method("ridge", "logistic regression, ridge", "Li et al. 2021", _PULL, partial(_logistic, l1_ratio=0)),
    Method("lasso", "logistic regression, lasso", "Li et al. 2021", _PULL, partial(_logistic, l1_ratio=1)),
    Method(
        "gradient-boosting",
        "gradient boosting",
        _BATISTA,
        "300 trees of depth 3, each on half the images; each cut chosen from the square root of the features",
        _boosting,
    ),
    Method(
        "xgboost",
        "XGBoost",
        "Li et al. 2021",
        "200 trees of depth 3, each on 0.8 of the images and 0.3 of the features, learning rate 0.1",
        _xgboost,
    ),
    Method("mlp", "multilayer perceptron", "Mei et al. 2020", _LAYER, _perceptron),
    Method("joint", "joint model", "Mei et al. 2020", f"image and clinical columns; {_LAYER}", _perceptron, True),
)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What one method says of the held-out images.

    Attributes:
        method: Which.
        scores: `(held out, labels) float32` in the dataset's order, higher is likelier; no calibrated probabilities.
        seconds: That fitting and asking took.
    """

    method: Method
    scores: npt.NDArray[np.float32]
    seconds: float


def fit_methods(
    features: Table,
    clinical: Table | None,
    targets: npt.NDArray[np.int64],
    learned: npt.NDArray[np.bool_],
    *,
    seed: int,
) -> Iterator[Fitted]:
    """Fit every method to one kind of features of the images learned from, and ask it about the others.

    Args:
        features: `(n, features) float32`.
        clinical: `(n, columns) float32`, standardised on the images learned from; None for no joint model.
        targets: `(n,)`, index of each image's label.
        learned: `(n,) bool`, the images learned from.
        seed: Of everything random.

    Raises:
        DataError: A class is too small for the cross-validation.
    """
    counts = np.bincount(targets[learned])
    if counts.min() < FOLDS:
        raise DataError(
            f"expected at least {FOLDS} images of every class to learn from, got {counts.min()}; add images of it"
        )
    table = _prepared(features, learned, seed)
    for method in METHODS:
        if method.clinical and clinical is None:
            continue
        start_s = time.perf_counter()
        rows = np.hstack([table, clinical]) if method.clinical and clinical is not None else table
        with warnings.catch_warnings():
            # A perceptron that is stopped by its number of passes is as its settings say.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = method.build(seed).fit(rows[learned], targets[learned])
        yield Fitted(method, _scores(model, rows[~learned]), round(time.perf_counter() - start_s, 2))


def _prepared(features: Table, learned: npt.NDArray[np.bool_], seed: int) -> Table:
    """Standardise, reduce where wide, and bring to a root mean square of 1, all as the images learned from ask for."""
    steps: list[Any] = [StandardScaler()]
    if features.shape[1] > WIDEST:
        steps.append(PCA(min(COMPONENTS, int(learned.sum()) - 1), svd_solver="randomized", random_state=seed))
    table = make_pipeline(*steps).fit(features[learned]).transform(features)
    return np.asarray(table / (np.sqrt(np.square(table[learned]).mean()) or 1), np.float32)


def _scores(model: Any, rows: Table) -> npt.NDArray[np.float32]:
    """Scores by label, `(n, labels) float32`, whether the model gives probabilities or distances."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(rows), np.float32)
    distances = model.decision_function(rows)
    by_label = np.stack([-distances, distances], axis=1) if distances.ndim == 1 else distances
    return np.asarray(by_label, np.float32)
