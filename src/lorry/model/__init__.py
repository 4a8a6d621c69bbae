"""The nouns: frozen values without I/O. Every room may import this one; it imports none."""
