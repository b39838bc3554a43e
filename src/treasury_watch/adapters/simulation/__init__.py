"""The parts of the simulated treasury: its city, its calendar, its ordinary payments and its violations."""
