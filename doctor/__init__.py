"""The doctor's end: receives reports, stores each exactly once, shows it, and sends the receipt."""

__all__: list[str] = []
