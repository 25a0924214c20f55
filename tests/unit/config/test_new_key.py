"""One place for each key: a new one needs the schema, a field of its dataclass, and what uses it. Nothing else."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

KEY = {
    "title": "Patience",
    "description": "How long a client may think.",
    "$ref": "#/$defs/duration",
    "maximum": 60,
    "default": "3s",
}

PROGRAM = """
import json
from pathlib import Path
from pgrpc import config
from tools.docs import pages

def load(value):
    Path("config.yaml").write_text("database: {dsn: x}\\nlimits:\\n  patience: " + value)
    try:
        return config.load("config.yaml", {}).limits.patience
    except config.Invalid as error:
        return error.faults

stale = [str(path) for path in pages.write()]
loaded = [load(value) for value in ("250ms", "2m", "soon")]
print(json.dumps({"default": config.Limits().patience, "loaded": loaded, "stale": stale}))
"""


def test_a_new_key(tmp_path: Path) -> None:
    for name in ("pgrpc", "schemas", "tools", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "config.yaml.example", tmp_path)
    path = tmp_path / "schemas/config.schema.json"
    document = json.loads(path.read_text())
    document["$defs"]["limits"]["properties"]["patience"] = KEY
    path.write_text(json.dumps(document))
    path = tmp_path / "pgrpc/core/limits/settings.py"
    before, field, after = path.read_text().partition("    handshake_timeout: float = 10.0\n")
    assert field
    path.write_text(f"{before}{field}    patience: float = 3.0\n{after}")

    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    duration = "must be a duration: 500ms, 10s, 2m, 1h or a plain number of seconds"
    assert found["default"] == 3.0
    assert found["loaded"] == [
        0.25,
        ["config.yaml:3:3: limits.patience: must be at most 60 seconds"],
        [f"config.yaml:3:3: limits.patience: {duration}"],
    ]
    assert {"config.yaml.example", "docs/reference/configuration.md"} <= {*found["stale"]}
    assert "  # How long a client may think.\n  patience: 3s\n" in (tmp_path / "config.yaml.example").read_text()
    row = "| `patience` | duration | `3s` | How long a client may think. |\n"
    assert row in (tmp_path / "docs/reference/configuration.md").read_text()
