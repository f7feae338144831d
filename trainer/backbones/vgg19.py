"""VGG19 (Simonyan and Zisserman, 2015, arXiv:1409.1556). Pixels as its `preprocess_input` has them.

The means are those of ImageNet; the published weights read blue, green, red.
"""

from typing import Final

from trainer.backbone import Backbone

BACKBONE: Final = Backbone(
    application="VGG19",
    scale=(1.0,) * 3,
    offset=(-123.68, -116.779, -103.939),
    licence="CC BY 4.0",
    block_inputs=tuple(f"block{block}_pool" for block in range(1, 5)),
    bgr_kernel="block1_conv1",
)
