"""From a prompt to pictures on the disk."""

from lorry.generation.files import require_writable, save, write_file
from lorry.generation.prompt import with_trigger
from lorry.generation.service import Generations
from lorry.generation.sheet import SheetRow, contact_sheet

__all__ = [
    "Generations",
    "SheetRow",
    "contact_sheet",
    "require_writable",
    "save",
    "with_trigger",
    "write_file",
]
