"""How images arrive.

Each module is one source: a generator of `Capture`, and a way to settle or set aside what it gave.
"""

__all__: list[str] = []
