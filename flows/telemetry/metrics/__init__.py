"""Metrics of finished flows and of the processes, for OTLP and for Prometheus.

The recorder counts and hands its points to the console with the heartbeat. May import
`flows.telemetry` and what that may import.
"""
