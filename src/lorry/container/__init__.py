"""A worker for a dedicated container: it opens one base model and draws jobs, each with its own LoRAs.

It speaks the contract of Together's workers (Together API dossier 4.3): `GET /health`, `GET /metrics`,
`POST /generate`, and a queue that it pulls from. It needs neither Together's client nor their sprocket, so
that all of it runs and is tested here as it runs there.

The room knows nothing of what draws: that is a `Bench` (`bench.py`), opened by whoever starts the worker.
"""
