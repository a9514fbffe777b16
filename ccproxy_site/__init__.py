"""The Django project: settings, URLs, the `ccproxy` command.

It puts the applications together, and may import all of them.
"""
