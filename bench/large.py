#!/usr/bin/env python3
"""A long run, and a quiet one: what finishing and answering cost when there are 100 million events, and what the recorder costs
beside a program that does nothing.

    bench/large.py [MILLION EVENTS]          default 100; needs about 1 GB of disk and 2 minutes

Prints a table in Markdown. memray's figures for a recording of about the same size are in docs/benchmarks.md."""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from bench import ROOT, build_facts
from report import heading, line

PYTHON = os.path.join(ROOT, ".venv-bench", "bin", "python")
TIDEGAUGE = os.path.join(ROOT, "tidegauge")
# Events (births and deaths) of one round of churn.py, measured.
EVENTS_A_ROUND = 193_000
QUIET_SECONDS = 60


def timed(*words):
    """(CPU seconds, wall seconds, peak RSS of the largest process in MiB, standard output) of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    if status:
        sys.exit("large: %s ended with status %d" % (" ".join(words), status))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall, usage.ru_maxrss / 1024, output


def facts_of(reader, recording):
    return json.loads(subprocess.check_output(["node", reader, recording]))


def main():
    millions = float(sys.argv[1]) if len(sys.argv) > 1 else 100
    rounds = round(millions * 1e6 / EVENTS_A_ROUND)
    folder = tempfile.mkdtemp(prefix="large-")
    reader = build_facts()
    try:
        recording = os.path.join(folder, "large.tide")
        churn = [PYTHON, os.path.join(ROOT, "bench", "panel", "churn.py"), str(rounds)]
        bare, _, _, _ = timed(*churn)
        cpu, wall, rss, _ = timed(
            TIDEGAUGE, "run", "-q", "--exact", "--max-size", "4GiB", "-o", recording, "--", *churn
        )
        facts = facts_of(reader, recording)
        answer = json.loads(subprocess.check_output([TIDEGAUGE, "processes", recording, "--json"]))
        events = sum((process["births"] or 0) + (process["deaths"] or 0) for process in answer["processes"])
        first = timed(TIDEGAUGE, "explain", recording)
        leaks = timed(TIDEGAUGE, "leaks", recording)

        quiet = os.path.join(folder, "quiet.tide")
        sleeper = [PYTHON, "-c", "import time; time.sleep(%d)" % QUIET_SECONDS]
        subprocess.run([TIDEGAUGE, "run", "-q", "-o", quiet, "--", *sleeper], check=True)
        brief = os.path.join(folder, "brief.tide")
        subprocess.run([TIDEGAUGE, "run", "-q", "-o", brief, "--", PYTHON, "-c", "pass"], check=True)
        sampling = facts_of(reader, quiet)["recorderCpuSeconds"] - facts_of(reader, brief)["recorderCpuSeconds"]

        finishing = cpu - facts["cpuSeconds"] - facts["recorderCpuSeconds"]
        heading("what", "target", "measured", "")
        line("events recorded (births and deaths)", "", "%.1f M" % (events / 1e6), "")
        line("program, bare: CPU s", "", "%.1f" % bare, "")
        line(
            "program, `--exact`: CPU s",
            "<= 2.0x",
            "%.1f (%.2fx)" % (facts["cpuSeconds"], facts["cpuSeconds"] / bare),
            "",
        )
        line("finishing: CPU s", "<= 15", "%.1f" % finishing, "pass" if finishing <= 15 else "**miss**")
        line("run and finishing: wall s", "", "%.1f" % wall, "")
        line("recorder: peak RSS while finishing, MiB", "", "%.0f" % rss, "")
        line("recording: MB", "", "%.2f" % (os.path.getsize(recording) / 1e6), "")
        line("first answer (`explain`): wall s", "< 1", "%.2f" % first[1], "pass" if first[1] < 1 else "**miss**")
        line("`leaks`: wall s", "", "%.2f" % leaks[1], "")
        share = 100 * sampling / QUIET_SECONDS
        line(
            "recorder beside a sleeping program: % of a core",
            "<= 1",
            "%.2f" % share,
            "pass" if share <= 1 else "**miss**",
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
