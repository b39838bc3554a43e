"""The status page (状态页): what one worker does right now, for a person with a browser and nothing else."""

from treasury_watch.adapters.statuspage.serving import serve_status

__all__ = ["serve_status"]
