"""Real-time monitoring of treasury payments."""

__version__ = "0.1.0"
