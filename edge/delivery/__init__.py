"""The second loop: what stands in the outbox goes out, and receipts, answers and requests come in.

It shares nothing with the pipeline (`edge.agent`) but the outbox.
"""
