"""What the paper printed: its four results, its Table 1, and what it leaves open. Nothing here is measured by us.

The paper's text gives the number of wrong decisions only; the cells of its confusion matrices are in pictures and are
not repeated here.
"""

from dataclasses import dataclass
from typing import Final

HELD_OUT: Final = 200
"""Images in each of the paper's confusion matrices."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the paper's confusion matrices.

    Attributes:
        number: In the paper.
        title: Network and whether its training images were augmented.
        wrong: Wrong decisions of `HELD_OUT`, as the paper's text says.
    """

    number: str
    title: str
    wrong: int


FIGURES: Final = {
    "paper-vgg19-aug": Figure("11a", "VGG19 with augmentation", 7),
    "paper-vgg19": Figure("11b", "VGG19 without augmentation", 2),
    "paper-mobilenet-aug": Figure("12a", "MobileNet with augmentation", 11),
    "paper-mobilenet": Figure("12b", "MobileNet without augmentation", 8),
}
"""By recipe, in the paper's order."""


@dataclass(frozen=True, slots=True)
class Study:
    """One row of the paper's Table 1.

    Attributes:
        study: As the paper spells it.
        data_type: Likewise.
        year: Likewise.
        method: Likewise.
        accuracy: Likewise, with its percent sign.
        ours: Name of our counterpart in `trainer.comparison.baselines.METHODS`; None for the paper's own row.
    """

    study: str
    data_type: str
    year: int
    method: str
    accuracy: str
    ours: str | None


TABLE_1: Final = (
    Study("Batista .AFM et al", "x-ray", 2020, "support vector machines", "85%", "svm"),
    Study("Xueyan .M et al", "CT scan", 2020, "joint model", "92%", "joint"),
    Study("Wei Tse. L et al", "x-ray", 2021, "XGBoost", "92.5%", "xgboost"),
    Study("This work (the paper)", "x-ray", 2022, "VGG19", "99%", None),
)

TABLE_1_DOUBTS: Final = (
    "The three studies worked on other data and other questions, so their figures stand beside these and not against "
    "them. The table calls Batista's and Li's data X-rays; the paper's own text describes 235 hospital cases and the "
    "clinical data of 413 patients. The text gives Li's 92.5% as a sensitivity, not an accuracy."
)

LEFT_OPEN: Final = (
    "how much shear: 0.2 degrees here, the number beside the paper's others in Keras' examples",
    "what fills the border of a moved image: the nearest pixel here, Keras' default",
    "whether moved images stand beside the others or in their place: beside them here, an epoch each in turn",
    "the seeds, and so which 200 images were held out",
    "how the resize filters and how a picture is decoded",
    "whether the figures are of the last epoch or of the best: the last here, chosen beforehand",
)
"""What the paper does not say, and what was chosen."""
