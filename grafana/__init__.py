"""What Grafana shows: dashboards, how it is provisioned with them, and the generator that writes them."""
