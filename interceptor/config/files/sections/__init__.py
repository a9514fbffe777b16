"""Settings of one part each; the parts without a module of their own are in `groups`."""
