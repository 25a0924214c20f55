"""The configuration file: YAML -> frozen values, each fault as `config.yaml:12:5: functions.bid.timeout: ...`.

Owns everything that the file can say, and the words for what is wrong with it. Must not know how anything that it
configures works.
"""

from pgrpc.config.dialect_sections import Given, Section, Sections
from pgrpc.config.lint import warnings
from pgrpc.config.model import (
    Auth,
    Channel,
    Config,
    Database,
    Function,
    Invalid,
    Limits,
    Marks,
    SchemaFile,
    Server,
    Tls,
)
from pgrpc.config.reader import load
from pgrpc.config.units import seconds

__all__ = [
    "Auth",
    "Channel",
    "Config",
    "Database",
    "Function",
    "Given",
    "Invalid",
    "Limits",
    "Marks",
    "SchemaFile",
    "Section",
    "Sections",
    "Server",
    "Tls",
    "load",
    "seconds",
    "warnings",
]
