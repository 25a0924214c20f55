"""The wheel, as somebody has it who has no checkout: built from this one, installed elsewhere, and run from there."""

import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from pgrpc.demo import process
from tests.support import databases, demo_process, pgrpc_server

PATIENCE = 60.0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with what the extra dev has installed: nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    ran = subprocess.run(command, cwd=pgrpc_server.ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == 0, ran.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that it is installed into. What it depends on is this Python's."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--no-index"]
    ran = subprocess.run([*command, "--target", str(folder), str(wheel)], capture_output=True, timeout=PATIENCE)
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture
def environ(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of everything that a test starts: the installed package, and nothing of the checkout."""
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    monkeypatch.setenv("PATH", f"{installed / 'bin'}:{os.environ['PATH']}")


def pgrpc(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pgrpc", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.usefixtures("environ")
def test_both_ways_to_run_it_are_the_installed_one(installed: Path, tmp_path: Path) -> None:
    where = [sys.executable, "-c", "import pgrpc; print(pgrpc.__file__)"]
    ran = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert ran.stdout.startswith(str(installed))
    script = subprocess.run(["pgrpc", "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert script.stdout == pgrpc(tmp_path, "--version").stdout
    assert script.stdout.startswith("pgrpc 0.")


@pytest.mark.usefixtures("environ")
def test_the_demo_keeps_its_data_with_the_users_and_says_where(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with demo_process.folder() as data:
        data.mkdir()
        monkeypatch.setenv("XDG_DATA_HOME", str(data))
        assert str(data / "pgrpc" / "demo") in re.sub(r"\s", "", pgrpc(data, "demo", "--help").stdout)
        run = subprocess.Popen(
            [sys.executable, "-m", "pgrpc", "demo", "people", "--port", "0"],
            cwd=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert run.stdout is not None
            lines = []
            for line in run.stdout:
                lines.append(line)
                if line.startswith("serving: "):
                    break
            assert any(f"setting up PostgreSQL in {data / 'pgrpc' / 'demo'} " in line for line in lines), lines
            url = lines[-1].split()[1]
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                assert b"<title>People</title>" in answer.read()
            guide = re.search(r"what to try is in (.*)", run.stdout.readline())
            assert guide is not None
            assert Path(guide[1]).is_relative_to(installed)
            assert Path(guide[1]).exists()
        finally:
            run.terminate()
            run.wait(PATIENCE)
            if run.stdout is not None:
                run.stdout.close()
        assert run.returncode == 0
        assert not process.working_in([data / "pgrpc" / "demo" / "postgresql" / "cluster"], {"postgres"})


@pytest.mark.usefixtures("environ")
def test_init_writes_what_check_takes(
    embedded_database: databases.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = pgrpc(tmp_path, "init", "--dsn", embedded_database.dsn)
    assert done.returncode == 0, done.stderr
    client = pgrpc_server.ROOT / "examples" / "people" / "public" / "pgrpc.js"
    assert (tmp_path / "public" / "pgrpc.js").read_text() == client.read_text()
    monkeypatch.setenv("DATABASE_URL", embedded_database.dsn)
    assert pgrpc(tmp_path, "check").returncode == 0


def test_its_description_leads_nowhere_that_an_index_does_not_have(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    text = metadata.get_payload()
    assert isinstance(text, str)
    assert text.lstrip().startswith("# pgrpc\n")
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert "pgrpc lets browsers call PostgreSQL functions" in metadata["Summary"]
    for version in ("3.11", "3.12", "3.13", "3.14"):
        assert f"Programming Language :: Python :: {version}" in metadata.get_all("Classifier", [])
