"""The doctor's pages: worklist, reading, admin. Server-rendered, live by server-sent events, usable without a line.

Read `app.py` first. Nothing is loaded from elsewhere, and no page holds a script or style of its own.
"""

__all__: list[str] = []
