"""One file of facts per network; the file's name is the backbone's."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from trainer.backbone import Backbone

__all__ = ["BACKBONES"]

BACKBONES: Final[dict[str, Backbone]] = {
    module.name: import_module(f"{__name__}.{module.name}").BACKBONE for module in iter_modules(__path__)
}
