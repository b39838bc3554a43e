"""What a payment, a verdict and a day are. No IO, no clock; msgspec is the only library used (ADR 0001)."""
