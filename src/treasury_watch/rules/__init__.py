"""Text in, rule set or diagnostics out: what a rule author writes, as typed, frozen objects."""
