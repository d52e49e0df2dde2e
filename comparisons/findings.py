"""What a comparison with another library finds: printed, kept, and the exit code."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from files.writing import write_whole


def report_findings(
    name: str,
    find: Callable[[], Mapping],
    table: Callable[[Mapping], Sequence[str]],
    output: Path | None,
) -> int:
    """Compares and reports; returns 0, 1 for a difference, 2 for an error.

    Args:
        name: Of the module that runs.
        find: Compares; returns what JSON holds, "agrees" among it.
        table: Makes the lines that are printed of it.
        output: The JSON file for the figures, if any.
    """
    try:
        findings = find()
        print(*table(findings), sep="\n")
        if output is not None:
            content = json.dumps(findings, indent=2) + "\n"
            print(write_whole(output, content.encode()))
    except (ValueError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    return 0 if findings["agrees"] else 1
