"""`python -m integration.runs.bench.rough [RUNS]`: what the failures of some cost the others.

The default profile several times, with seeds 1, 2, …; the ratio rough / clean of the median time to the first
text, of each run and in the median of all. Ends with 1 where a run did not pass, with 3 where the median is
above its limit. Runs stay in `reports/bench/`.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from typing import Any

from integration.runs.locust import ROOT, headless
from load.errors import ExitCode

RUNS = 5
LIMIT = 1.10
FOLDER = ROOT / "reports" / "bench"


def main(runs: int) -> ExitCode:
    shutil.rmtree(FOLDER, ignore_errors=True)
    ratios = []
    passed = True
    for seed in range(1, runs + 1):
        ended = headless("--seed", str(seed), reports=FOLDER / f"rough-{seed}")
        if ended.code != ExitCode.PASS:
            passed = False
            say("\n".join(ended.report[:20] or ended.lines))
            continue
        windows, streams = ended.run["windows"], ended.run["streams"]
        ratios.append(windows["ttft_p50_ratio"])
        done = streams["by_terminal"]["DONE"]
        say(f"seed {seed}: {done:,} done; clean {told(windows['clean'])}, rough {told(windows['rough'])}")
        say(f"        rough / clean {windows['ttft_p50_ratio']:.3f}")
    if not passed or not ratios:
        say(f"{len(ratios)} of {runs} runs passed")
        return ExitCode.BEHAVIOUR
    median = statistics.median(ratios)
    say(f"rough / clean of TTFT p50: {median:.3f} in the median of {len(ratios)} runs, allowed {LIMIT:.2f}")
    return ExitCode.PASS if median <= LIMIT else ExitCode.OBJECTIVE


def told(window: Any) -> str:
    ttft = window["ttft_ms"]
    return f"p50 {ttft['p50']:.1f} p95 {ttft['p95']:.1f} ms ({ttft['n']:,})"


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(int(main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)))
