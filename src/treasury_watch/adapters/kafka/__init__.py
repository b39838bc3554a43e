"""Kafka: the Faust worker, its batch driver, and the commands that read and write the contract's topics."""
