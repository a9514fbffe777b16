"""Parts of `ccproxy run`: base URLs, an interceptor of its own, the summary."""
