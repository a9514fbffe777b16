"""From a recorded flow to a shape: valid flows, personal data, what is kept. Pure."""
