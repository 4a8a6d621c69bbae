"""A callback of transformers' Trainer: what was trained is saved, and shipped."""

from __future__ import annotations

import logging
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lorry.errors import LorryError
from lorry.hooks.shipping import ship_trained
from lorry.model.placement import Placement

_LOG = logging.getLogger("lorry.training")


class LorryCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Ships the model when its training ends.

    The training is not undone by a delivery that fails: the error is logged and kept, and `lorry ship` goes
    on with it.

    Args:
        name: Lorry's name of the model; made of the output folder's when omitted.
        **shipping: As for `lorry.hooks.ship_trained`.

    Attributes:
        placement: Where the model is, after the training.
        error: Why it is not.
    """

    def __init__(self, name: str | None = None, **shipping: Any) -> None:
        self._name, self._shipping = name, shipping
        self.placement: Placement | None = None
        self.error: LorryError | None = None

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Save the model into the output folder, and ship it."""
        del control
        if not state.is_world_process_zero:
            return
        model = kwargs["model"]
        # Trainer saves steps while it trains, and the end of it only when its user says so afterwards.
        getattr(model, "module", model).save_pretrained(args.output_dir)
        try:
            self.placement = ship_trained(args.output_dir, self._name, **self._shipping)
        except LorryError as error:
            self.error = error
            _LOG.error("%s was not shipped (%s): %s", args.output_dir, error.code, error.message)
            _LOG.error("Run: lorry ship %s", args.output_dir)
