"""A process of the official client 2.42.0: runs one function of this file and prints what came of it as JSON.

PYTHONPATH=.venv/sdk-v1 python client.py URL FUNCTION ARGUMENTS…
"""

from __future__ import annotations

import json
import sys
from typing import Any

import together
from together import Together


def life(client: Any, source: str, base: str) -> dict[str, Any]:
    """Upload an adapter, wait for its job, run it on the cheapest hardware, ask it, and delete it."""
    sent = client.models.upload(
        model_name="dispatch", model_source=source, model_type="adapter", lora_model=base, description="mine"
    )
    job = client.models.uploads.status(sent.data.job_id)
    while job.status not in ("Complete", "Failed"):
        job = client.models.uploads.status(sent.data.job_id)
    hardware = client.endpoints.list_hardware(model=sent.data.x_model_name).data
    zones = client.endpoints.list_avzones().avzones
    made = client.endpoints.create(
        model=sent.data.x_model_name,
        hardware=hardware[0].id,
        autoscaling={"min_replicas": 1, "max_replicas": 1},
        display_name="my dispatch",
        inactive_timeout=60,
    )
    seen = client.endpoints.retrieve(made.id)
    words = client.chat.completions.create(
        model=made.name, messages=[{"role": "user", "content": "Who are you?"}], temperature=0, max_tokens=8
    )
    plain = client.chat.completions.create(
        model=base, messages=[{"role": "user", "content": "Who are you?"}], temperature=0, max_tokens=8
    )
    listed = [row.id for row in client.endpoints.list(type="dedicated").data]
    renamed = client.endpoints.update(made.id, display_name="another")
    stopped = client.endpoints.update(made.id, state="STOPPED")
    client.endpoints.delete(made.id)
    return {
        "job": job.status,
        "updates": [update.status for update in job.status_updates],
        "source": sent.data.x_model_source,
        "hardware": [row.id for row in hardware],
        "free": [row.availability.status for row in hardware],
        "zones": zones,
        "states": [made.state, seen.state, stopped.state],
        "names": [seen.display_name, renamed.display_name],
        "listed": listed == [made.id],
        "with": words.choices[0].message.content,
        "without": plain.choices[0].message.content,
        "left": [row.id for row in client.endpoints.list(type="dedicated").data],
    }


def closed(client: Any, base: str) -> dict[str, Any]:
    """Try to make an endpoint where that is switched off."""
    hardware = client.endpoints.list_hardware(model=base).data[0].id
    try:
        client.endpoints.create(
            model=base, hardware=hardware, autoscaling={"min_replicas": 1, "max_replicas": 1}
        )
    except together.PermissionDeniedError as error:
        body: Any = error.body
        return {"status": error.status_code, "body": body}
    return {"status": 200}


def failed(client: Any, source: str, base: str) -> dict[str, Any]:
    """Upload from where nothing is."""
    sent = client.models.upload(
        model_name="nothing", model_source=source, model_type="adapter", lora_model=base
    )
    job = client.models.uploads.status(sent.data.job_id)
    while job.status not in ("Complete", "Failed"):
        job = client.models.uploads.status(sent.data.job_id)
    return {"status": job.status, "last": job.status_updates[-1].message}


if __name__ == "__main__":
    url, name, *arguments = sys.argv[1:]
    client = Together(base_url=f"{url}/v1", api_key="any", max_retries=0)
    result = {"version": together.__version__, **globals()[name](client, *arguments)}
    print(json.dumps(result))
