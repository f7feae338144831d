"""The host: fine-tunes a pretrained network on a folder of X-rays and evaluates it on held-out ones."""

__all__: list[str] = []
