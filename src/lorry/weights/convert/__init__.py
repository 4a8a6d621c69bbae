"""Rewrite an adapter for another loader: new names, the same strength, proved before it is kept."""
