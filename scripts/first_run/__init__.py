"""The first run on real payments: two files that nobody here made, through a real Apache Kafka, judged twice.

Imports both files whole, starts Apache Kafka (scripts/kafka) with topics of 4 partitions, publishes, and judges with
two workers, the second of which joins in the middle. Then counts what went in against what came out, and compares
every decision with that of `treasury-watch replay`, byte for byte. All that it makes lies in the folder `--work`:
instructions, rules, decisions, logs, result.json. docs/first-run.md tells what was seen.

Exit status: 0 all as it should be, 1 a difference or a failure, 2 wrong use, no data, or no Java 17+ or Maven.
"""
