#!/usr/bin/env python3
"""The panel: what a memory profiler costs, tools side by side on the same programs in the same round.

    bench/setup-peers.sh                                                    # once: .venv-bench with the peers
    bench/bench.py                                                          # everything, 3 rounds, about 25 minutes on 2 cores
    bench/bench.py --configs tidegauge,memray --programs churn,live --rounds 1
    bench/bench.py --report build/bench/panel.json                          # the tables again, in Markdown

One run is one process tree. Its CPU is user + system of every descendant, the tool's helpers included (wall time means
little on a shared machine). For Tidegauge, what it spends until the program ended is told apart from what it spends on
finishing afterwards (memray's reports, made by another command, are not counted at all; Fil and Scalene report within the run); its memory is VmHWM of the program itself at its last line; its recording is every file that the
tool left. Ratios are always to the bare run of the same round. The `startup` program gives a tool's fixed cost."""

import argparse
import collections
import ctypes
import json
import os
import resource
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from report import report

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)

# One line a tool: {py} the interpreter, {bin} its folder, {run} the program with its arguments, {prog} and {args} these
# apart, {out} an empty folder for the recording.
CONFIGS = {
    "bare": "{py} {run}",
    "tidegauge": "{root}/tidegauge run -q -o {out}/t.tide -- {py} {run}",
    "tidegauge-exact": "{root}/tidegauge run -q --exact -o {out}/t.tide -- {py} {run}",
    "memray": "{py} -m memray run -q -f -o {out}/m.bin {run}",
    "memray-pyalloc": "{py} -m memray run -q -f --trace-python-allocators -o {out}/m.bin {run}",
    "scalene": "{bin}/scalene run -o {out}/s.json {prog} --- {args}",
    "fil": "{bin}/fil-profile --no-browser -o {out} run {run}",
    "tracemalloc-1": "{py} -X tracemalloc=1 {run}",
}

# program -> the argument that makes the bare run last 1 to 2 s (startup and imports stay what they are).
PROGRAMS = {
    "startup": "",
    "imports": "",
    "churn": "180",
    "json_small": "60",
    "binary_trees": "17",
    "groupby": "140000",
    "deep": "2200",
    "asyncio_queue": "100",
    "text": "80",
    "live": "350000",
    "fib": "34",
    "threads": "400",
    "json_roundtrip": "40000",
    "numpy_large": "150",
    "numpy_small": "250000",
    "threads_numpy": "30",
    "pandas_groupby": "1000000",
}


def run_tree(words, folder, timeout):
    """Runs a command and waits for every descendant: a child of ours becomes their subreaper and reports for all of them."""
    environment = dict(os.environ, PYTHONHASHSEED="0", PANEL_DONE=os.path.join(folder, ".done"), DEBUGINFOD_URLS="")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, json.dumps(reap(words, folder, environment, timeout)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        result = json.loads(pipe.read())
    os.waitpid(child, 0)
    try:
        with open(environment["PANEL_DONE"]) as done:
            high_water, rss, _ = done.read().split()
        result.update(hwm_kib=int(high_water), rss_kib=int(rss))
    except (OSError, ValueError):
        pass
    return result


def reap(words, folder, environment, timeout):
    os.setsid()
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    started = time.monotonic()
    with open(os.path.join(folder, ".log"), "wb") as log:
        try:
            program = subprocess.Popen(
                words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        except OSError as error:
            return {"status": 127, "error": str(error), "cpu": 0, "wall": 0, "timed_out": False}
    timed_out = False

    def alarm(*_):
        nonlocal timed_out
        timed_out = True
        for name in os.listdir("/proc"):  # our own session only
            try:
                if name.isdigit() and int(name) != os.getpid() and os.getsid(int(name)) == os.getpid():
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                pass

    signal.signal(signal.SIGALRM, alarm)
    signal.alarm(timeout)
    status = wall = None
    while True:
        try:
            pid, raw = os.waitpid(-1, 0)
        except ChildProcessError:
            break
        if pid == program.pid:
            status, wall = os.waitstatus_to_exitcode(raw), time.monotonic() - started
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = usage.ru_utime + usage.ru_stime
    return {"status": status, "wall": round(wall or 0, 3), "cpu": round(cpu, 3), "timed_out": timed_out}


def build_facts():
    """Bundles the reader of a recording's facts."""
    target = os.path.join(ROOT, "build", "bench", "facts.mjs")
    esbuild = os.path.join(ROOT, "node_modules", ".bin", "esbuild")
    options = ["--bundle", "--platform=node", "--format=esm", "--log-level=warning", "--outfile=" + target]
    subprocess.run([esbuild, os.path.join(HERE, "facts.ts"), *options], check=True)
    return target


def recording_cpu(out):
    """CPU seconds of the program and of the recorder beside it until the program ended: what comes after is finishing."""
    path = os.path.join(out, "t.tide")
    if not os.path.exists(path):
        return None
    facts = json.loads(subprocess.check_output(["node", os.path.join(ROOT, "build", "bench", "facts.mjs"), path]))
    return round(facts["cpuSeconds"] + facts["recorderCpuSeconds"], 3)


def one_run(config, program, python, scratch, timeout):
    folder = tempfile.mkdtemp(dir=scratch)
    out = os.path.join(folder, "out")
    os.mkdir(out)
    path = os.path.join(HERE, "panel", program + ".py")
    command = CONFIGS[config].format(
        py=python,
        bin=os.path.dirname(python),
        root=ROOT,
        prog=path,
        args=PROGRAMS[program],
        run="%s %s" % (path, PROGRAMS[program]),
        out=out,
    )
    try:
        result = run_tree(shlex.split(command), folder, timeout)
        result["files"] = sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(out) for f in fs)
        if config.startswith("tidegauge"):
            result["recording_cpu"] = recording_cpu(out)
        if result["status"]:
            with open(os.path.join(folder, ".log"), "rb") as log:
                result["log"] = log.read()[-400:].decode("utf-8", "replace")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def measure(options):
    configs = ["bare"] + [name for name in options.configs if name != "bare"]
    scratch = tempfile.mkdtemp(prefix="panel-")
    rows, ratios = [], collections.defaultdict(list)
    started = time.monotonic()
    os.makedirs(os.path.dirname(os.path.abspath(options.out)), exist_ok=True)
    try:
        # Not counted: the first run of a tool compiles what later ones find, which would pass for its fixed cost and be subtracted everywhere.
        for config in configs:
            one_run(config, "startup", options.python, scratch, options.timeout)
        for number in range(options.rounds):
            for program in options.programs:
                bare = None
                for config in configs:
                    so_far = statistics.median(ratios[config, program] or [0])
                    late = time.monotonic() - started > options.deadline
                    if config != "bare" and (late or (so_far > 3.5 and number >= options.slow_rounds)):
                        continue
                    result = one_run(config, program, options.python, scratch, options.timeout)
                    if config == "bare":
                        bare = result
                    elif bare["cpu"] > 0.3:
                        ratios[config, program].append(result["cpu"] / bare["cpu"])
                    result.update(
                        round=number, program=program, config=config, load=os.getloadavg()[0], bare=bare["cpu"]
                    )
                    result.update(bare_hwm_kib=bare.get("hwm_kib"), bare_status=bare["status"])
                    rows.append(result)
                    print(
                        "%5.0f s  round %d  %-15s %-16s exit %s  cpu %.2f (x%.2f)  hwm %s KiB  files %d"
                        % (time.monotonic() - started, number, program, config, result["status"], result["cpu"],
                           result["cpu"] / max(bare["cpu"], 0.001), result.get("hwm_kib"), result["files"]),
                        file=sys.stderr,
                    )  # fmt: skip
                with open(options.out, "w") as f:
                    json.dump({"configs": configs, "programs": PROGRAMS, "rows": rows}, f, indent=0)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def names(known):
    def parse(text):
        chosen = text.split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError("unknown: %s (known: %s)" % (", ".join(unknown), ", ".join(known)))
        return chosen

    return parse


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", type=names(CONFIGS), default=list(CONFIGS))
    parser.add_argument("--programs", type=names(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-rounds", type=int, default=1, help="rounds for a tool slower than 3.5x on a program")
    parser.add_argument("--timeout", type=int, default=120, help="seconds for one run")
    parser.add_argument("--deadline", type=float, default=1e9, help="seconds after which only bare runs start")
    parser.add_argument("--python", default=os.path.join(ROOT, ".venv-bench", "bin", "python"))
    parser.add_argument("--out", default=os.path.join(ROOT, "build", "bench", "panel.json"))
    parser.add_argument("--report", nargs="+", metavar="FILE", help="print the tables of earlier runs")
    options = parser.parse_args()
    if options.report:
        return report(options.report)
    if not os.access(options.python, os.X_OK):
        sys.exit("bench: no interpreter at %s: run bench/setup-peers.sh first, or give --python" % options.python)
    build_facts()
    measure(options)
    report([options.out])


if __name__ == "__main__":
    main()
