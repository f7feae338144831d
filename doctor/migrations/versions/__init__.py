"""The steps, one file each."""

__all__: list[str] = []
