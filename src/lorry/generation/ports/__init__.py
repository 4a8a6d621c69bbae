"""What the way of a request needs from outside."""

from lorry.generation.ports.blobs import Blobs
from lorry.generation.ports.line import Line, Shipment
from lorry.generation.ports.remembering import Directory, Hooks, Kept, Ledger, Outages, Starts
from lorry.generation.ports.upstream import AnswerCut, NotSent, Reply, Upstream

__all__ = [
    "AnswerCut",
    "Blobs",
    "Directory",
    "Hooks",
    "Kept",
    "Ledger",
    "Line",
    "NotSent",
    "Outages",
    "Reply",
    "Shipment",
    "Starts",
    "Upstream",
]
