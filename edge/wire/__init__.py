"""What is said over MQTT, and under which topics. `docs/protocol.md` says the same for other languages."""
