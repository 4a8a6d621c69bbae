"""What a caller asks for: bodies in three forms, read no further than they have to be."""

from lorry.generation.asking.ask import Ask, Form
from lorry.generation.asking.reading import fingerprint, read_chat, read_generate, read_images

__all__ = ["Ask", "Form", "fingerprint", "read_chat", "read_generate", "read_images"]
