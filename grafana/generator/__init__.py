"""The dashboards of Grafana 11.6 as Python: what each panel asks and says stands here, `dashboards/` is written of it.

`python -m grafana.generator` writes it anew. Each dashboard is there twice, in Chinese and in English.
"""
