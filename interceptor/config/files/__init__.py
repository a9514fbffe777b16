"""`ccproxy.yaml` and `CCPROXY_*` variables: schema, errors with lines, reference.

Never imports Django: the settings module of Django reads it.
"""
