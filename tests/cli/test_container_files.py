"""What `lorry container init` writes is what jig reads, and what `deploy` reads back."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from together.lib.cli.api.beta.jig.jig import JigConfig

from lorry.cli.container_files import GPUS, Recipe, read, write
from lorry.container.settings import read_worker_settings
from lorry.errors import OptionInvalid

FULL = Recipe(
    name="my-worker",
    base="black-forest-labs/FLUX.1-dev",
    gpu="h200-140gb",
    min_replicas=0,
    max_replicas=3,
    base_volume="flux",
    lora_volume="loras",
)


def test_jig_reads_what_is_written(tmp_path: Path) -> None:
    """The official client's own loader takes the file, and finds each choice where it looks for it."""
    write(tmp_path / "box", FULL)
    path = tmp_path / "box" / "pyproject.toml"
    config = JigConfig.load(tomllib.loads(path.read_text()), path)
    assert config.model_name == "my-worker"
    assert config.image.cmd == "python worker.py --queue"
    assert config.image.copy == ["worker.py"]
    assert (config.deploy.gpu_type, config.deploy.min_replicas, config.deploy.max_replicas) == (
        FULL.gpu,
        0,
        3,
    )
    assert config.deploy.environment_variables == FULL.environment
    assert {row.name: row.mount_path for row in config.deploy.volume_mounts} == {
        "flux": "/volumes/flux",
        "loras": "/volumes/loras",
    }
    assert config.deploy.autoscaling == {
        "metric": "QueueBacklogPerWorker",
        "target": 1.01,
        "model": "my-worker",
    }


def test_deploy_reads_what_init_wrote(tmp_path: Path) -> None:
    """Name, hardware, replicas, environment and volumes come back as they were chosen."""
    write(tmp_path, FULL)
    told = read(tmp_path)
    assert (told.name, told.gpu, told.min_replicas, told.max_replicas) == ("my-worker", FULL.gpu, 0, 3)
    assert told.environment == FULL.environment
    assert set(told.volumes) == {"flux", "loras"}


def test_the_worker_reads_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is what the worker takes: base, volumes and adapters."""
    recipe = Recipe("my-worker", "lorry/flux-icons-64")
    settings = read_worker_settings(recipe.environment)
    assert (settings.base, settings.base_folder, settings.volumes) == ("lorry/flux-icons-64", None, ())
    write(tmp_path, recipe)
    worker = (tmp_path / "worker.py").read_text()
    monkeypatch.setattr("sys.argv", ["worker.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        exec(compile(worker, "worker.py", "exec"), {"__name__": "__main__"})  # noqa: S102 - what the image runs


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """One file that is there keeps all of them from being written."""
    (tmp_path / "worker.py").write_text("mine")
    with pytest.raises(OptionInvalid, match=r"worker\.py already"):
        write(tmp_path, FULL)
    assert [file.name for file in tmp_path.iterdir()] == ["worker.py"]
    assert (tmp_path / "worker.py").read_text() == "mine"


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Name, base, accelerator and replicas are each named; nothing is written."""
    wrong = Recipe("A", "flux", gpu="potato", min_replicas=3, max_replicas=1)
    with pytest.raises(OptionInvalid) as caught:
        write(tmp_path / "box", wrong)
    assert len(caught.value.evidence["problems"]) == 4
    assert not (tmp_path / "box").exists()


@pytest.mark.parametrize(
    ("lorry", "sound"),
    [
        ("lorry", True),
        ("lorry[diffusers]", True),
        ("lorry[diffusers]==0.1.0", True),
        ("lorry >= 0.1, < 1", True),
        ("lorry[diffusers] @ https://example.org/lorry-0.1.0-py3-none-any.whl", True),
        ("lorry @ git+https://example.org/lorry.git@v1", True),
        ("lorry-0.1.0-py3-none-any.whl", False),
        ("./lorry-0.1.0-py3-none-any.whl", False),
        ("lorry @ file:///app/lorry-0.1.0-py3-none-any.whl", False),
        ("something-else", False),
        ("", False),
    ],
)
def test_lorry_comes_over_the_network(tmp_path: Path, lorry: str, sound: bool) -> None:
    """The image installs before it copies a file, so what lies in the folder can't be installed from."""
    recipe = Recipe("worker-box", "lorry/flux-icons-64", lorry=lorry)
    if sound:
        assert write(tmp_path / "box", recipe)
    else:
        with pytest.raises(OptionInvalid, match="over the network"):
            write(tmp_path / "box", recipe)


@pytest.mark.parametrize("text", ["", "[project", "[project]\nname = 'x'\n", None])
def test_a_folder_of_others_is_refused(tmp_path: Path, text: str | None) -> None:
    """No file, a torn one and one that is not Lorry's are told with how to make one."""
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(OptionInvalid, match=r"pyproject\.toml") as caught:
        read(tmp_path)
    assert "lorry container init" in caught.value.fix


def test_the_accelerators_are_those_of_the_client() -> None:
    """Every accelerator can be deployed on by the official client's types."""
    from typing import get_args, get_type_hints

    from together.types.beta.jig_deploy_params import JigDeployParams

    hint = get_type_hints(JigDeployParams, include_extras=False)["gpu_type"]
    literals = get_args(hint)
    known = get_args(literals[0]) if literals and get_args(literals[0]) else literals
    assert set(GPUS) == set(known)
