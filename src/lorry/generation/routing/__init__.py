"""Which place answers a request: pure rules over what is known of each."""
