"""What the bytes are: where they come from, what kind of file, the safetensors header, every number."""
