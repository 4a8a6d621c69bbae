"""The gateway: from a request that was read to an answer, at the place that may give it, paid for once."""
