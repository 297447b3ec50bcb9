"""Windows: features that count and average what happened before a payment."""
