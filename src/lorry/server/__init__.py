"""The HTTP server: the gateway's routes, ahead of everything else, and the API for people and programs."""
