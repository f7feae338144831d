"""From bytes nobody vouches for to pixels.

`decoder` (in the agent) asks `child` (a process that may die of a file), which calls `decode`.
"""
