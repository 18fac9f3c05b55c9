"""The panel's tables in Markdown: the targets with pass or miss, one summary line a tool, then every program."""

import collections
import json
import statistics

# Programs too short for a ratio: they give the fixed cost.
SHORT = ("startup", "imports")


class Panel:
    def __init__(self, paths):
        self.rows, self.configs, self.programs = collections.defaultdict(list), [], []
        for path in paths:
            with open(path) as f:
                data = json.load(f)
            for row in data["rows"]:
                if row["config"] not in self.configs:
                    self.configs.append(row["config"])
                if row["program"] not in self.programs:
                    self.programs.append(row["program"])
                self.rows[row["config"], row["program"]].append(row)
        self.long = [program for program in self.programs if program not in SHORT]

    def good(self, config, program):
        """Runs that ended as the bare one did."""
        return [r for r in self.rows[config, program] if not r["timed_out"] and r["status"] == r["bare_status"]]

    def median(self, config, program, figure):
        values = [figure(row) for row in self.good(config, program)]
        values = [value for value in values if value is not None]
        return statistics.median(values) if values else None

    def each(self, config, figure):
        """{program: median of a figure} over the long programs that have it."""
        medians = {program: self.median(config, program, figure) for program in self.long}
        return {program: value for program, value in medians.items() if value is not None}

    def fixed_cpu(self, config, figure=lambda r: r["cpu"]):
        return self.median(config, "startup", lambda r: figure(r) - r["bare"])

    def net_cpu(self, config, figure=lambda r: r["cpu"]):
        """CPU less the fixed cost as a ratio to the bare run."""
        fixed = self.fixed_cpu(config, figure) or 0
        return self.each(config, lambda r: (figure(r) - fixed) / r["bare"])

    def finishing(self, config):
        """CPU seconds after the program ended, per bare CPU second."""
        return self.each(config, lambda r: (r["cpu"] - recording(r)) / r["bare"] if "recording_cpu" in r else None)

    def rss(self, config):
        return self.each(
            config, lambda r: r["hwm_kib"] / r["bare_hwm_kib"] if r.get("bare_hwm_kib") and "hwm_kib" in r else None
        )

    def rss_over(self, config):
        """Peak RSS beyond 1.02 times the bare one, in MiB."""
        return self.each(
            config,
            lambda r: (
                (r["hwm_kib"] - 1.02 * r["bare_hwm_kib"]) / 1024 if r.get("bare_hwm_kib") and "hwm_kib" in r else None
            ),
        )

    def files(self, config):
        return self.each(config, lambda r: r["files"] / 1e6 / r["bare"])


def recording(row):
    """CPU until the program ended: for tools that say so, else all of it."""
    return row.get("recording_cpu") or row["cpu"]


def worst(values):
    program = max(values, key=values.get)
    return values[program], program


def geomean(values):
    return statistics.geometric_mean([max(value, 1e-4) for value in values.values()])


def show(value, pattern="%.2f"):
    return "-" if value is None else pattern % value


def line(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def heading(*cells):
    line(*cells)
    print("|" + " --- |" * len(cells))


def targets(panel):
    """What docs/benchmarks.md promises, measured: (text, limit, value, remark) a row; a row without runs is left out."""
    rows = []

    def add(text, limit, value, remark=""):
        rows.append((text, limit, value, remark))

    for config, name, median, most in (("tidegauge", "default", 1.03, 1.10), ("tidegauge-exact", "exact", 1.35, 2.0)):
        net = panel.net_cpu(config, recording)
        if not net:
            continue
        add("%s: CPU less the fixed cost, median" % name, median, statistics.median(net.values()))
        add("%s: CPU less the fixed cost, worst" % name, most, *worst(net))
        whole = panel.net_cpu(config)
        add("%s: the same with finishing, median" % name, median, statistics.median(whole.values()))
        add("%s: the same with finishing, worst" % name, most, *worst(whole))
        if panel.fixed_cpu(config) is not None:
            add("%s: fixed CPU of a hello world, s" % name, 0.20, panel.fixed_cpu(config))
        add("%s: peak RSS beyond 1.02x, MiB, worst" % name, 6, *worst(panel.rss_over(config)))
        files = panel.files(config)
        if config == "tidegauge":
            add("default: recording, MB per bare CPU s, geomean", 0.1, geomean(files))
        else:
            add("exact: recording, MB per bare CPU s, geomean", 6, geomean(files))
            add("exact: recording, MB per bare CPU s, worst", 38, *worst(files))
            peer = panel.net_cpu("memray-pyalloc")
            against = {program: net[program] / peer[program] for program in net if program in peer}
            if against:
                add("exact: CPU as a share of memray with Python allocators, worst", 1, *worst(against))
    return rows


def report(paths):
    panel = Panel(paths)
    others = [config for config in panel.configs if config != "bare"]

    rows = targets(panel)
    if rows:
        print("\n### Targets\n")
        heading("what", "target", "measured", "where", "")
        for text, limit, value, remark in rows:
            verdict = "" if limit is None else "pass" if value <= limit else "**miss**"
            line(text, "" if limit is None else "<= %g" % limit, show(value, "%.3f"), remark, verdict)

    print("\n### Tools: geometric mean and [worst: program] over the programs of about a second and more\n")
    heading(
        "tool",
        "fixed CPU, s",
        "CPU less the fixed cost",
        "finishing, s per bare CPU s",
        "peak RSS",
        "recording, MB per bare CPU s",
        "failed",
    )
    for config in others:
        cells = [config, show(panel.fixed_cpu(config))]
        for values in (
            panel.net_cpu(config, recording),
            panel.finishing(config),
            panel.rss(config),
            panel.files(config),
        ):
            cells.append("%.2f [%.1f: %s]" % (geomean(values), *worst(values)) if values else "-")
        every = [row for program in panel.programs for row in panel.rows[config, program]]
        failed = [row["program"] for row in every if row["timed_out"] or row["status"] != row["bare_status"]]
        line(*cells, ", ".join(sorted(set(failed))) or "none")

    fixed = {config: panel.fixed_cpu(config, recording) or 0 for config in others}
    for title, figure in (
        ("CPU less the fixed cost, ratio to bare", lambda c: lambda r: (recording(r) - fixed[c]) / r["bare"]),
        ("Finishing, CPU seconds", lambda c: lambda r: r["cpu"] - recording(r) if "recording_cpu" in r else None),
        ("Peak RSS of the program, added MiB", lambda c: lambda r: (r["hwm_kib"] - r["bare_hwm_kib"]) / 1024 if "hwm_kib" in r else None),
        ("Recording, MB", lambda c: lambda r: r["files"] / 1e6),
    ):  # fmt: skip
        print("\n### %s\n" % title)
        heading("program", "bare CPU s", "bare MiB", *others)
        for program in panel.programs:
            bare = panel.median("bare", program, lambda r: r["cpu"])
            high = panel.median("bare", program, lambda r: r["hwm_kib"] / 1024 if "hwm_kib" in r else None)
            cells = [show(panel.median(config, program, figure(config))) for config in others]
            line(program, show(bare), show(high, "%.0f"), *cells)

    counts = [len(panel.rows[config, program]) for config in others for program in panel.programs]
    loads = [row["load"] for rows in panel.rows.values() for row in rows]
    print(
        "\nRuns a cell: %d to %d. Load of the machine: %.1f to %.1f."
        % (min(counts), max(counts), min(loads), max(loads))
    )
