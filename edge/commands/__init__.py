"""The commands of `edge-agent` beside the agent itself, one module each."""
