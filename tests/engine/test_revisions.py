"""Revisions: what validation says, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.samples import Api, deployment_body, write_adapter


def test_a_good_adapter_passes(api: Api, weights: Path) -> None:
    """A valid adapter becomes SUCCESS without problems, and its record knows its parameters."""
    model, revision = api.adapter(weights=weights)
    (row,) = api.done("GET", f"/models/{model['id']}/revisions")["data"]
    assert (row["revisionId"], row["validationErrors"]) == (revision, [])
    assert row["validationStatus"] == "REVISION_VALIDATION_STATUS_SUCCESS"
    parameters = api.done("GET", f"/models/{model['id']}")["weights"]["parameters"]
    assert int(parameters["total"]) > 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.safetensors", b"<!DOCTYPE html><html>not found</html>"),
        ("w.safetensors", b"\x80\x04\x95pickle"),
        ("w.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        ("w.bin", b"just bytes"),
        ("README.md", b"# nothing else\n"),
    ],
)
def test_what_is_no_adapter_fails_with_its_reason(api: Api, name: str, content: bytes) -> None:
    """Each kind of wrong file is FAILED with a rule and a sentence, and can't be deployed."""
    model = api.model()["id"]
    api.upload(model, {name: content})
    (row,) = api.done("GET", f"/models/{model}/revisions")["data"]
    assert row["validationStatus"] == "REVISION_VALIDATION_STATUS_FAILED"
    assert all(problem["rule"] and problem["message"] for problem in row["validationErrors"])
    assert row["validationErrors"][0]["severity"] == "ERROR"
    refused = api.ask("POST", f"/endpoints/{api.endpoint()['id']}/deployments", deployment_body(model))
    assert refused.status_code == 400
    assert row["validationErrors"][0]["message"] in refused.json()["message"]


def test_a_cut_file_fails(api: Api, weights: Path) -> None:
    """A file that lost its end is FAILED."""
    model = api.model()["id"]
    api.upload(model, {"w.safetensors": weights.read_bytes()[:-1000]})
    (row,) = api.done("GET", f"/models/{model}/revisions")["data"]
    assert row["validationStatus"] == "REVISION_VALIDATION_STATUS_FAILED"


def test_the_newest_revision_is_the_one_that_counts(api: Api, tmp_path: Path) -> None:
    """Files, deployments and downloads speak of the newest revision unless one is named."""
    first = write_adapter(tmp_path / "first", seed=1)
    second = write_adapter(tmp_path / "second", seed=2)
    model, old = api.adapter(weights=first)
    new = api.upload(model["id"], {second.name: second.read_bytes()})
    path = f"/models/{model['id']}/files"
    assert api.done("GET", path)["revisionId"] == new
    assert api.done("GET", path, revisionId=old)["revisionId"] == old
    endpoint = api.endpoint()["id"]
    assert api.deployment(endpoint, model["id"])["model"].endswith(f"/revisions/{new}")
    pinned = {"model": f"projects/proj_local/models/{model['id']}/revisions/{old}"}
    row = api.deployment(endpoint, model["id"], "two", **pinned)
    assert row["model"].endswith(f"/revisions/{old}")
    assert api.ask("GET", path, revisionId="rv_none").status_code == 404


def test_a_download_gives_every_file_of_a_revision(api: Api, weights: Path) -> None:
    """Files in folders come back by their paths; what is not in the revision is 404."""
    model = api.model()["id"]
    files = {weights.name: weights.read_bytes(), "samples/a b.txt": b"text"}
    api.upload(model, files)
    answer = api.done("POST", "/models/download", {"objectId": model})
    got = {row["path"]: api.client.get(row["parts"][0]["url"]).content for row in answer["files"]}
    assert got == files
    missing = api.ask("POST", "/models/download", {"objectId": model, "paths": ["none"]})
    assert missing.status_code == 404
