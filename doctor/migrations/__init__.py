"""Steps that bring a store's tables up to date, run by `doctor.database` whenever a store is opened.

A new step: write the file by hand beside the last, its `down_revision` the last one's `revision`. There is no way back:
copy the store before an update.
"""

__all__: list[str] = []
