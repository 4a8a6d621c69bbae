"""What is published beside a model's weights: its card. Pure."""

from lorry.publication.card import TAG, model_card

__all__ = ["TAG", "model_card"]
