"""A look at the real service: read only, bounded, and compared with what we believe of it.

`questions` says what is asked, `asking` asks it (GET and nothing else), `looking` takes values out of the
answers, `comparing` holds them against `beliefs.toml`, `fixtures` keeps the answers without anything of the
account, and `replay` serves them again. `spending` is the one part that costs: it refuses to without a limit.
"""

from __future__ import annotations

from lorry.platforms.probing.asking import Reply
from lorry.platforms.probing.comparing import Belief, Compared, Outcome, beliefs, compare
from lorry.platforms.probing.fixtures import save
from lorry.platforms.probing.probe import Probe, probe

__all__ = ["Belief", "Compared", "Outcome", "Probe", "Reply", "beliefs", "compare", "probe", "save"]
