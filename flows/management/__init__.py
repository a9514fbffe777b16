"""Commands of flows for Django and the shell. They may import every other room of this app."""
