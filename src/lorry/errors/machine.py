"""This machine, the embedded engine on it, or Lorry itself."""

from __future__ import annotations

from lorry.errors.root import LorryError


class StorageError(LorryError):
    """Our own disk refused."""

    code = "storage_error"


class DiskFull(StorageError):
    """No space is left on the device."""

    code = "disk_full"
    retryable = True
    default_fix = "Free some space and run the same command again; nothing half-written was kept."


class NotWritable(StorageError):
    """A file or folder of ours can't be written."""

    code = "not_writable"
    default_fix = "Correct the permissions, or choose another place with `--home` or `-o`."


class HomeBusy(StorageError):
    """Another process works on the same home."""

    code = "home_busy"
    retryable = True
    default_fix = "Wait until it has ended, or use another home with `--home`."


class DatabaseUnreachable(StorageError):
    """The database server does not answer."""

    code = "database_unreachable"
    retryable = True
    default_fix = "Start it, or correct LORRY_DATABASE_URL; without that, Lorry keeps a file in its home."


class DatabaseRefused(StorageError):
    """The database server answers, and lets nobody in with this address."""

    code = "database_refused"
    default_fix = "Correct user, password and database in LORRY_DATABASE_URL, or have them made."


class EngineError(LorryError):
    """The embedded engine can't do its work."""

    code = "engine_error"


class PortTaken(EngineError):
    """Another program listens on the port."""

    code = "port_taken"
    default_fix = "Choose another port, for example `lorry engine --port 0` for any free one."


class EngineBusy(EngineError):
    """More pictures wait at the engine than it takes."""

    code = "engine_busy"
    retryable = True
    default_fix = "Ask again in some seconds, or run another engine."


class EngineOutOfMemory(EngineError):
    """What was asked for does not fit into the engine's memory."""

    code = "engine_out_of_memory"
    retryable = True
    default_fix = "Ask for a smaller picture or fewer adapters, or run the engine where there is more memory."


class AdapterUnusable(EngineError):
    """The renderer can't take this adapter."""

    code = "adapter_unusable"
    default_fix = "Run `lorry check PATH` on the file."


class ExtraMissing(LorryError):
    """An optional part is not installed."""

    code = "extra_missing"


class InternalError(LorryError):
    """A fault of ours."""

    code = "internal_error"
    default_fix = "Please report it with the lines of `lorry events NAME` and the evidence below."
