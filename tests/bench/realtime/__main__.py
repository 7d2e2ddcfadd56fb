"""The figures of the realtime hub beside its peers: `python -m tests.bench.realtime --help`."""

import argparse
import tempfile
from pathlib import Path

from tests.bench.realtime import contestants, report
from tests.bench.realtime.arena import Arena
from tests.bench.realtime.steps import FULL, QUICK, QUICK_STEPS, STEPS
from tests.bench.realtime.targets import Verdict

RESULTS = Path(__file__).parents[3] / ".pinghub-bench"


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.realtime", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes instead of twenty")
    parser.add_argument("--only", nargs="+", choices=list(STEPS), help="some figures only")
    parser.add_argument("--peers", nargs="*", help="peers whose names contain one of these")
    options = parser.parse_args()
    names = options.only or (QUICK_STEPS if options.quick else list(STEPS))
    measure(names, options.peers, quick=options.quick)


def measure(names: list[str], peers: list[str] | None, *, quick: bool) -> list[Verdict]:
    """Print figures, keep them as JSON, and return what the targets say of them."""
    figures: dict[str, object] = {}
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory() as folder:
        servers = contestants.present(Path(folder), peers)
        arena = Arena(Path(folder))
        for name in names:
            found = STEPS[name](arena, servers, QUICK if quick else FULL)
            figures[name] = found.figures
            verdicts += found.verdicts
            print(found.text, flush=True)
    print("\n".join(map(str, verdicts)))
    print(f"kept in {report.save(RESULTS, {'figures': figures, 'verdicts': verdicts})}")
    return verdicts


if __name__ == "__main__":
    main()
