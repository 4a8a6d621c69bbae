"""Having diffusers and transformers say only what is wrong."""

from __future__ import annotations


def quiet_libraries() -> None:
    """Silence remarks on what is not installed and not needed; to be called before diffusers is imported."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    from diffusers.utils import logging as diffusers_logging

    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
