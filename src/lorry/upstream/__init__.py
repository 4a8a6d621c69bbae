"""The HTTP clients of the gateway's hot path, behind `lorry.generation.ports.Upstream`.

Which client is used decides what a request costs here, more than anything else: one that works in a thread
of its own costs each request two switches between threads, and httpx ten times as much in all (figures in
benchmarks/gateway). So `direct` speaks HTTP/1.1 in the event loop's thread, with the parser that uvicorn has
for the other side. aiohttp stands behind the same port, for where a proxy has to be passed; one test holds
both to the same contract.
"""
