"""`edge-agent demo`: the whole line on this machine, with the real commands, real pages and synthetic radiographs."""

__all__: list[str] = []
