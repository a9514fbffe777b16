"""Figures of the dashboard and of usage: sums by hour, latencies, and their plots."""
