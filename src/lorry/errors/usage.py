"""What was asked for can't be done as asked."""

from __future__ import annotations

from lorry.errors.root import LorryError


class UsageError(LorryError):
    """What was asked for can't be done as asked."""

    code = "usage"
    exit_status = 2


class SourceNotFound(UsageError):
    """The path that was named does not exist or can't be read."""

    code = "source_not_found"
    default_fix = "Give the path of a .safetensors file or of the folder that holds it."


class NameInvalid(UsageError):
    """A model's name breaks the rules for names."""

    code = "name_invalid"
    default_fix = "Use 2 to 40 lower-case letters, digits and hyphens, for example `--name tok`."


class ModelNotFound(UsageError):
    """No model of this name is known here."""

    code = "model_not_found"
    default_fix = "Run `lorry models` to see what there is."


class NameTaken(UsageError):
    """The name belongs to a model with other weights."""

    code = "name_taken"
    default_fix = "Choose another `--name`, or run `lorry retire NAME` first."


class NotReady(UsageError):
    """The model is known, but no placement of it can answer now."""

    code = "model_not_ready"
    default_fix = "Run `lorry show NAME` to see its state, or `lorry resume NAME` to finish its delivery."


class OptionInvalid(UsageError):
    """An option has a value that can't be used."""

    code = "option_invalid"


class SettingInvalid(UsageError):
    """An environment variable or a line of lorry.toml can't be used."""

    code = "setting_invalid"
    default_fix = "Correct the setting; `docs/reference/settings.md` lists them all."


class NoReplicas(UsageError):
    """The model is on a route that runs nothing of its own."""

    code = "no_replicas"
    default_fix = "`lorry show NAME` says where it is; what runs nothing bills nothing by the hour."
