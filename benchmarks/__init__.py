"""Speed, latency and memory on this machine: `make bench`. What each figure means is in docs/speed.md."""
