"""Fault trials: workers on Apache Kafka are disturbed under load, and what they published is compared.

Each trial has topics and a group of its own, two or three workers, a load of messages of every sort, and one kind of
disturbance at moments drawn from its seed. When all is judged the payments topic, as it stands, is judged once more by
one undisturbed engine a partition; the outputs must be those, each exactly once, in order, on the right partition.

Needs Java 17+ and Maven (`scripts/kafka`) and Linux. Exit status: 0 all trials passed, 1 some did not, 2 wrong use or
no Kafka.
"""
