"""Full checkpoints: whole models in one file or in shards with an index, and what their names say."""
