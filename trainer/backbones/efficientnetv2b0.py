"""EfficientNetV2-B0 (Tan and Le, 2021, arXiv:2104.00298). Pixels as its own preprocessing layers have them.

Those layers are left out and their arithmetic is stated here, so that every backbone's graph begins the same way:
pixels / 255, minus ImageNet's means, over its standard deviations.
"""

from typing import Final

from trainer.backbone import Backbone

_MEANS: Final = (0.485, 0.456, 0.406)
_DEVIATIONS: Final = (0.229, 0.224, 0.225)

BACKBONE: Final = Backbone(
    application="EfficientNetV2B0",
    scale=(1 / (255 * _DEVIATIONS[0]), 1 / (255 * _DEVIATIONS[1]), 1 / (255 * _DEVIATIONS[2])),
    offset=(-_MEANS[0] / _DEVIATIONS[0], -_MEANS[1] / _DEVIATIONS[1], -_MEANS[2] / _DEVIATIONS[2]),
    licence="Apache-2.0",
    block_inputs=(
        "block1a_project_activation",
        "block2b_add",
        "block3b_add",
        "block4c_add",
        "block5e_add",
        "block6h_add",
    ),
    ahead_cells=15.5 / 32,
    options={"include_preprocessing": False},
)
