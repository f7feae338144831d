"""Is this box ready? What `edge-agent check` and the self-test look at, each fault with its cause and its cure.

Read `edge.checks.every` for the list. A check changes nothing on the box; the broker hears one status message.
"""

__all__ = ["Check", "State"]

from edge.checks.check import Check, State
