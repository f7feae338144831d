"""The one file that carries a model to a box: read, and believed only for a reason."""
