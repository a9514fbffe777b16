"""Parts that every page of the console shares: who may enter, and the look.

guard_middleware, csp        names, origins and the content security policy
login_form, login_link       password login with a rate limit, and one-time links
api_tokens                   tokens of the REST API
dashboard, theme, notices    the admin's first page, its look, and warnings
server, fresh_context        Daphne on the proxy's event loop
"""
