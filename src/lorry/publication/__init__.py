"""What is published beside a model's weights, its card, and what can go wrong with it. Pure."""

from lorry.publication.card import TAG, model_card
from lorry.publication.faults import from_disk, kind_of

__all__ = ["TAG", "from_disk", "kind_of", "model_card"]
