"""Traces and metrics of finished flows, in OTLP.

Everything is made from the record that is written, on the writer's thread, and sent by a thread
of its own. Packages of OpenTelemetry and gRPC are imported only once `otel.enabled` is true. May
import `flows.models`, `flows.reading`, `flows.record` and what is below them.
"""
