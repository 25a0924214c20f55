"""`pgrpc check`: everything that is wrong with the configuration and its database."""

import argparse
import sys

from pgrpc.cli import outcome, parser, serve


def _run(options: argparse.Namespace) -> int:
    return outcome.of(lambda: _check(options))


def _check(options: argparse.Namespace) -> int:
    from pgrpc.check import checks

    report = checks.check(serve.load(options.config))
    outcome.say(report.lines)
    if report.summary:
        sys.stdout.write(f"{report.summary}\n")
    return outcome.INVALID if report.is_faulty else 0


COMMAND = parser.Command(
    "check",
    "check the configuration against its schema and the database",
    _run,
    parser.add_config,
    ["check --config config.yaml"],
)
