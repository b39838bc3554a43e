"""Instructions in, verdicts out: synchronous, deterministic, without a clock and without IO."""
