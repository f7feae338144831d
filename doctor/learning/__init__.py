"""What the doctors' answers teach: how right the model is at each clinic, where it drifts, and images to learn from."""

__all__: list[str] = []
