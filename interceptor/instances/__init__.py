"""Running interceptors, as their heartbeat rows in the database show them."""
