"""The host: turns a trained model into an int8 bundle that decides the same on a box."""

__all__: list[str] = []
