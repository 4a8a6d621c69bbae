"""What a file is, and what is wrong with it: told from its bytes, without any machine-learning library."""

from lorry.weights.bases.families import families, family
from lorry.weights.origins.folder import companions, locate
from lorry.weights.preflight import check, predicted_modules

__all__ = ["check", "companions", "families", "family", "locate", "predicted_modules"]
