"""The installed console script in a child process."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(sys.executable).with_name("netanomaly")


def environment(**more: str) -> dict[str, str]:
    """The environment of a child: ours, without what would configure the job."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("NETANOMALY_", "CLOUD_RUN_", "GOOGLE_"))}
    return ours | {"COLUMNS": "100", "TERM": "dumb"} | more


def netanomaly(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [str(SCRIPT), *words], cwd=cwd, env=environment(**env), capture_output=True, text=True, timeout=120, check=False
    )
