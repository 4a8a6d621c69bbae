"""What was read of a file means this for its kind: a LoRA for pictures, an adapter for text, a checkpoint."""
