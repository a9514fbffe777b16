"""Operation of an installation: health, status, ports, the log, key logs.

Only `status` imports Django: health checks run often and start fast.
"""
