"""The line to the broker: how it is opened, and how long to wait before it is opened again."""
