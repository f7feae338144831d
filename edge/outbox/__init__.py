"""The durable outbox. What entered it survives a power cut and is owed until the doctor's inbox has sent a receipt."""
