"""Perplexity's web session: its ask request and the events of its response.

No vendor documents it. What is written here was observed, and may change any day.
"""
