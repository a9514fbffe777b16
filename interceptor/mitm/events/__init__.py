"""The way of an event: from the socket to the layers, and through them."""
