"""A whole site on this machine without containers: what docker-compose.yml starts, as processes on loopback.

Kafka (scripts/kafka), topics, PostgreSQL with the tables of cases, the sink, two workers, Prometheus and Alertmanager,
on free ports and with the same configuration files. Everything lies in one folder (`--dir`, default .stack): data,
logs, process ids, passwords. Grafana is in docker-compose.yml only.

`up` starts what does not run and waits until all is ready; when something fails or it is interrupted, it ends what it
started. `status` says of each part where it is and whether it is ready. `down` ends these processes and no others, and
keeps the data. `secrets` makes the passwords that docker-compose.yml mounts, in ./secrets.

Exit status: 0 done, and for `status` all is ready; 1 failed, or not all is ready; 2 wrong use, or something is missing.
"""
