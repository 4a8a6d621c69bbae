"""The HTTP clients of the gateway's hot path, behind `lorry.generation.ports.Upstream`.

Which client is used decides what a request costs here, more than anything else: pyreqwest takes half of the
processor time of aiohttp, and httpx ten times as much (measured before it was chosen; benchmarks/gateway has
the figures of today). It is young, so aiohttp stands behind the same port, and one test holds both to it.
"""
