"""Telemetry of the processes: what the recorder exports, and spans of the console and the tasks."""
