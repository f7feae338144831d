"""What the agent is told to do: values that are checked when they are built, and where each of them came from.

`config` holds them all; `sources` reads them from a file, the environment and the command line, in that order.
"""
