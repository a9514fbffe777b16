"""The supervisor: starts the recorder, the proxies and the console, and keeps them running.

It imports neither Django nor mitmproxy nor asyncio: it lives as long as the installation, and
should cost no memory.
"""
