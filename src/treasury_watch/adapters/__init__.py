"""The edges: everything that touches Kafka, files, the clock or the terminal."""
