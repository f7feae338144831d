"""Steps that bring a store's tables up to date, run by `doctor.database` whenever a store is opened.

A new step: write the file by hand beside the last, its `down_revision` the last one's `revision`, and name it here.
There is no way back: copy the store before an update.
"""

from typing import Final

__all__ = ["HEAD"]

HEAD: Final = "0001"
"""The last step; a store that has made it is opened without loading Alembic."""
