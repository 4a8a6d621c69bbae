"""Rewrite an adapter for another loader: new names, the same strength; streamed, proved, and put in place whole."""
