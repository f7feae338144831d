"""MobileNet v1 (Howard et al., 2017, arXiv:1704.04861). Pixels as its `preprocess_input` has them."""

from typing import Final

from trainer.backbone import Backbone

BACKBONE: Final = Backbone(
    application="MobileNet",
    scale=(1 / 127.5,) * 3,
    offset=(-1.0,) * 3,
    licence="Apache-2.0",
    block_inputs=tuple(f"conv_pw_{block}_relu" for block in range(1, 13)),
    ahead_cells=15.5 / 32,
    has_alpha=True,
)
