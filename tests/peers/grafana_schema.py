"""Reads each dashboard into Grafana's own published model and writes it again: whatever doesn't come back is not in the schema.

    grafana_schema.py FILE...

Prints JSON: how many files were read, and each deviation.
"""
import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

register_default_plugins()


def missing(ours, theirs, at):
    """Every path in `ours` that `theirs` doesn't have, or has with another value."""
    if isinstance(ours, dict):
        if not isinstance(theirs, dict):
            yield f"{at}: {theirs!r} instead of an object"
            return
        for key, value in ours.items():
            if key not in theirs:
                # A null means the same as nothing.
                if value is not None:
                    yield f"{at}.{key}: not in the schema"
            else:
                yield from missing(value, theirs[key], f"{at}.{key}")
    elif isinstance(ours, list):
        if not isinstance(theirs, list) or len(ours) != len(theirs):
            yield f"{at}: {theirs!r} instead of a list of {len(ours)}"
            return
        for index, (one, other) in enumerate(zip(ours, theirs)):
            yield from missing(one, other, f"{at}[{index}]")
    elif ours != theirs:
        yield f"{at}: {theirs!r} instead of {ours!r}"


def main():
    deviations = []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            ours = json.load(file)
        theirs = json.loads(json.dumps(Dashboard.from_json(ours), cls=JSONEncoder))
        deviations += missing(ours, theirs, path.rsplit("/", 1)[-1])
    print(json.dumps({"read": len(sys.argv) - 1, "deviations": deviations}))


main()
