"""python -m benchmarks.noise [--short] [--plain]: incidents on made-up traffic into which nothing was injected."""

import sys
from collections import Counter

from benchmarks.made import METRICS, PLAIN, Made, made
from job.anomaly import BANDS, band


def table(runs: list[Made]) -> str:
    """False incidents by nature and severity, for 1,000 series-days, as Markdown."""
    thousands = sum(run.series_days for run in runs) / 1000
    incidents = [i for run in runs for i in run.found.incidents]
    names = [name for _, name in BANDS]
    rows = [f"| nature | {' | '.join(names)} | for 1,000 series-days |", "|---" * (len(names) + 2) + "|"]
    for nature, n in sorted(Counter(i.nature for i in incidents).items(), key=lambda item: (-item[1], item[0])):
        counts = Counter(band(i.severity) for i in incidents if i.nature == nature)
        rows.append(f"| {nature} | {' | '.join(str(counts[name]) for name in names)} | {n / thousands:.2f} |")
    counts = Counter(band(i.severity) for i in incidents)
    total = f"| all | {' | '.join(str(counts[name]) for name in names)} | {len(incidents) / thousands:.2f} |"
    return "\n".join([*rows, total, "", f"{thousands * 1000:,.0f} series-days tested."])


def main() -> None:
    """Print the table."""
    days, seeds = (7, (1,)) if "--short" in sys.argv else (14, (1, 2))
    metrics = PLAIN if "--plain" in sys.argv else METRICS
    runs = []
    for seed in seeds:
        with made(24, days, seed, metrics, incidents=False) as here:
            runs.append(here)
    print(table(runs))


if __name__ == "__main__":
    main()
