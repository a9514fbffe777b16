"""Pages of the console for flows, and the `ccproxy flows repl` shell.

A view checks the request, asks a query and renders a template; a tab is a function from a flow to
what its template shows. This room may import every lower one; only URLs, REST, template tags and
commands import it.
"""
