"""Uploads in parts, and what becomes of damaged ones."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from lorry.engine.clock import ManualClock
from tests.engine.conftest import opened
from tests.engine.samples import Api, part_hash
from tests.engine.test_documents import files_up_to


def joined_hash(parts: list[bytes]) -> str:
    digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def send(api: Api, plan: dict[str, Any], parts: list[bytes]) -> dict[str, Any]:
    """Send all parts of one file; give its entry for the completion."""
    sent = []
    for row, part in zip(plan["parts"], parts, strict=True):
        response = api.client.put(row["url"], content=part)
        assert response.status_code == 200, response.text
        sent.append({"partNumber": row["partNumber"], "hash": response.headers["ETag"].strip('"')})
    return {"uploadId": plan["uploadId"], "parts": sent}


def complete(api: Api, model: str, path: str, found: str, details: dict[str, Any]) -> Any:
    entry = {"path": path, "hash": found, "uploadDetails": details}
    return api.ask("POST", "/models/upload/complete", {"objectId": model, "files": [entry]})


def test_a_file_in_parts_becomes_the_file_that_was_sent(api: Api, weights: Path) -> None:
    """Parts are joined in order, named by the hash of their hashes, and come back byte for byte."""
    data = weights.read_bytes()
    half = len(data) // 2
    parts = [data[:half], data[half:]]
    model = api.model()["id"]
    (plan,) = api.open_upload(model, {"w.safetensors": (joined_hash(parts), 2)})
    answer = complete(api, model, "w.safetensors", joined_hash(parts), send(api, plan, parts))
    assert answer.status_code == 200, answer.text
    (row,) = api.done("GET", f"/models/{model}/files")["data"]
    assert row == {"path": "w.safetensors", "hash": joined_hash(parts), "sizeBytes": str(len(data))}
    found = api.done("POST", "/models/download", {"objectId": model, "paths": ["w.safetensors"]})
    url = found["files"][0]["parts"][0]["url"]
    assert api.client.get(url).content == data


def test_a_damaged_part_is_refused_when_it_arrives(api: Api) -> None:
    """A single part with other bytes than announced is a 400 that names both digests, and is not kept."""
    model = api.model()["id"]
    (plan,) = api.open_upload(model, {"w.safetensors": (part_hash(b"right"), 1)})
    answer = api.client.put(plan["parts"][0]["url"], content=b"wrong")
    assert answer.status_code == 400
    assert part_hash(b"right") in answer.json()["message"]
    assert part_hash(b"wrong") in answer.json()["message"]
    details = {"uploadId": plan["uploadId"], "parts": [{"partNumber": 1, "hash": part_hash(b"right")}]}
    refused = complete(api, model, "w.safetensors", part_hash(b"right"), details)
    assert "never sent" in refused.json()["message"]


def test_a_part_that_contradicts_its_content_md5_is_refused(api: Api) -> None:
    """A Content-MD5 header is compared too, which is what protects the parts of a larger file."""
    model = api.model()["id"]
    (plan,) = api.open_upload(model, {"w.safetensors": (joined_hash([b"a", b"b"]), 2)})
    announced = base64.b64encode(hashlib.md5(b"a", usedforsecurity=False).digest()).decode()
    answer = api.client.put(plan["parts"][0]["url"], content=b"x", headers={"Content-MD5": announced})
    assert answer.status_code == 400


def test_a_file_whose_parts_are_not_what_was_announced_is_refused(api: Api) -> None:
    """Parts that arrive well but make another file are a 400 at completion; no revision comes of it."""
    model = api.model()["id"]
    announced = joined_hash([b"one", b"two"])
    (plan,) = api.open_upload(model, {"w.safetensors": (announced, 2)})
    answer = complete(api, model, "w.safetensors", announced, send(api, plan, [b"one", b"other"]))
    assert answer.status_code == 400
    assert announced in answer.json()["message"]
    assert api.done("GET", f"/models/{model}/revisions")["data"] == []


def test_a_part_can_be_sent_again(api: Api, weights: Path) -> None:
    """The second sending of a part replaces the first, as after a lost answer."""
    data = weights.read_bytes()
    parts = [data[:100], data[100:]]
    model = api.model()["id"]
    (plan,) = api.open_upload(model, {"w.safetensors": (joined_hash(parts), 2)})
    send(api, plan, [b"first try", parts[1]])
    answer = complete(api, model, "w.safetensors", joined_hash(parts), send(api, plan, parts))
    assert answer.status_code == 200


def test_content_that_is_stored_is_not_sent_again(api: Api, weights: Path) -> None:
    """The second upload of a content is skipped, and makes a revision of its own."""
    model, first = api.adapter(weights=weights)
    plan = api.open_upload(model["id"], {"again.safetensors": (part_hash(weights.read_bytes()), 1)})
    assert plan[0]["skipUpload"] is True
    second = api.upload(model["id"], {"again.safetensors": weights.read_bytes()})
    rows = api.done("GET", f"/models/{model['id']}/revisions")["data"]
    assert [row["revisionId"] for row in rows] == [second, first]


def test_skipping_what_is_not_stored_is_refused(api: Api) -> None:
    """A completion can't claim content that was never sent."""
    model = api.model()["id"]
    entry = {"path": "w.safetensors", "hash": part_hash(b"never"), "skipUpload": True}
    answer = api.ask("POST", "/models/upload/complete", {"objectId": model, "files": [entry]})
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../b", ".hidden", "a/.git/x", "c:x", "a\\b", "", "."])
def test_a_path_that_leads_elsewhere_is_refused(api: Api, path: str) -> None:
    """No path of an upload leaves the folder of its revision."""
    files = [{"path": path, "hash": part_hash(b"x"), "numParts": 1}]
    answer = api.ask("POST", "/models/upload/create", {"objectId": api.model()["id"], "files": files})
    assert answer.status_code == 400


@pytest.mark.parametrize(("found", "parts"), [("x" * 32, 1), (part_hash(b""), 2), (part_hash(b"") + "-2", 1)])
def test_a_hash_that_contradicts_the_number_of_parts_is_refused(api: Api, found: str, parts: int) -> None:
    """The suffix of a hash is its number of parts (dossier 2.3)."""
    files = [{"path": "x", "hash": found, "numParts": parts}]
    answer = api.ask("POST", "/models/upload/create", {"objectId": api.model()["id"], "files": files})
    assert answer.status_code == 400


def test_an_upload_expires(home: Path, clock: ManualClock) -> None:
    """A part URL is good for a day; the parts of an expired upload are swept at the next start."""
    with opened(home, clock) as api:
        (plan,) = api.open_upload(api.model()["id"], {"w": (part_hash(b"x"), 1)})
        assert api.client.put(plan["parts"][0]["url"], content=b"x").status_code == 200
        clock.advance(25 * 3600)
        assert api.client.put(plan["parts"][0]["url"], content=b"x").status_code == 403
    with opened(home, clock):
        assert list((home / "engine" / "uploads").glob("*")) == []


def test_a_full_disk_is_507_and_leaves_nothing(api: Api, home: Path) -> None:
    """A part for which there is no space is answered with 507, and nothing of it stays."""
    data = b"x" * 3_000_000
    (plan,) = api.open_upload(api.model()["id"], {"w": (part_hash(data), 1)})
    with files_up_to(1_000_000):
        answer = api.client.put(plan["parts"][0]["url"], content=data)
    assert answer.status_code == 507
    assert "space" in answer.json()["message"]
    assert [path for path in (home / "engine" / "blobs").rglob("*") if path.is_file()] == []
    assert api.client.put(plan["parts"][0]["url"], content=data).status_code == 200


def test_a_disk_that_fills_up_at_completion_makes_no_revision(api: Api, weights: Path) -> None:
    """When the joined file does not fit it is 507 without a revision; the same completion works later."""
    data = weights.read_bytes()
    model = api.model()["id"]
    (plan,) = api.open_upload(model, {"w.safetensors": (part_hash(data), 1)})
    details = send(api, plan, [data])
    with files_up_to(500_000):
        assert complete(api, model, "w.safetensors", part_hash(data), details).status_code == 507
    assert api.done("GET", f"/models/{model}/revisions")["data"] == []
    assert complete(api, model, "w.safetensors", part_hash(data), details).status_code == 200


def test_a_disk_that_fills_up_while_drawing_keeps_no_picture(api: Api, home: Path) -> None:
    """A picture that can't be stored is a 507 in the form of /v1, and nothing of it stays."""
    with files_up_to(100):
        answer = api.pictures("lorry/flux-icons-64", response_format="url")
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")
    assert [path for path in (home / "engine" / "pictures").rglob("*") if path.is_file()] == []
