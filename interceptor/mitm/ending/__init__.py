"""Ends of streams and websockets that the proxy stops; websockets recorded before they close."""
