"""The clinic's page: what the box found, how far it has come, and what the doctor says. Runs in a thread of the agent.

It reads the outbox through a connection of its own and shares nothing else with the pipeline, so a fault here never
touches the delivery of a report.
"""

__all__: list[str] = []
