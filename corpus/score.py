#!/usr/bin/env python3
"""Score `tidegauge leaks` on a folder of labelled programs, by the rules of README.md.

usage: score.py --tidegauge PATH [--python EXE] [--options "--exact"] [--keep FOLDER] [--growing] CORPUS [PROGRAM ...]

Prints a line a label that is wrong, the confusion matrix, and last: precision, recall, exact class. Exit status 1 when precision < 0.95 or recall < 0.90.

--growing asks less: not whether a line leaks (for which its holder must be known), but whether it is shown as growing, that is, called leaking, or
undecided with a growth per turn that is above 0 for certain. Lines labelled leaking must be; lines labelled recycled, recursion, warm-up or minor must not;
for the others (held, cache) growth is no mistake, since only the holder tells it from a leak. Prints a table of every labelled line; exit status 1 when one is wrong.
"""
import argparse, collections, json, os, shlex, subprocess, sys, tempfile

INNOCENT = {"recycled", "recursion", "warm-up", "minor"}  # must never be shown as growing
POSITIVE = {"leaking", "native-leak"}
LABEL = {"held by recursion": "recursion", "native leak": "native-leak", "bounded cache": "cache", "cyclic garbage": "cyclic-garbage",
         "retained by the allocator": "retained"}  # the verdicts of the JSON contract -> labels; the others are the same word


def sites_by_line(answer, program):
    """line of the program's own file -> the site with the largest peak."""
    best = {}
    for s in answer["sites"]:
        where = s["site"]
        if os.path.basename(where["file"]) == program:
            old = best.get(where["line"])
            if old is None or s["peak"]["bytes"] > old["peak"]["bytes"]: best[where["line"]] = s
    return best


def growing(site):
    """The tool shows that each turn leaves more behind."""
    if site["verdict"] in ("leaking", "native leak"): return True
    growth = site.get("growth")
    return site["verdict"] == "undecided" and bool(growth) and (growth["low"] or 0) > 0


def grows_row(program, row, site):
    """A line of the table, and whether it is right (None: either would be)."""
    shown = site is not None and growing(site)
    may = not set(row["accept"]) <= INNOCENT
    must = row["label"] in POSITIVE
    right = None if row.get("optional") or (may and not must) else shown == must
    growth = site.get("growth") if site else None
    figure = "" if not shown or not growth else "%.0f bytes per %s, %s of them" % (growth["bytesPerUnit"], growth["unit"], site["units"])
    print("%-3s %-24s %5d  wants %-15s got %-18s %s" % ({True: "ok", False: "BAD", None: ""}[right], program, row["line"], row["label"],
          site["verdict"] if site else "absent", figure))
    return right


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--tidegauge", required=True); ap.add_argument("--python", default=sys.executable)
    ap.add_argument("--options", default=""); ap.add_argument("--keep"); ap.add_argument("--growing", action="store_true")
    ap.add_argument("corpus"); ap.add_argument("program", nargs="*")
    a = ap.parse_args()
    labels = collections.defaultdict(list)
    for r in json.load(open(os.path.join(a.corpus, "labels.json"))): labels[r["program"]].append(r)
    tp = fn = fp = right = graded = wolves = holders = 0
    matrix = collections.Counter()
    verdicts = collections.Counter()  # of --growing
    for program, rows in sorted(labels.items()):
        if a.program and program not in a.program: continue
        needs = {r["needs"] for r in rows if r.get("needs")}
        if any(subprocess.run([a.python, "-c", "import " + n], stderr=subprocess.DEVNULL).returncode for n in needs):
            print("%s: skipped, needs %s" % (program, ", ".join(sorted(needs)))); continue
        with tempfile.TemporaryDirectory() as d:
            rec = os.path.join(d, "out.tide")
            run = subprocess.run([a.tidegauge, "run", "-o", rec, *shlex.split(a.options), "--", a.python, os.path.join(os.path.abspath(a.corpus), program)],
                                 cwd=d, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, universal_newlines=True)
            ask = subprocess.run([a.tidegauge, "leaks", rec, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
            try: answer = json.loads(ask.stdout)
            except ValueError:
                print("%s: no answer (%s)" % (program, (ask.stderr or run.stderr).strip()[-120:])); answer = {"sites": []}
            if a.keep:
                os.makedirs(a.keep, exist_ok=True)
                with open(os.path.join(a.keep, program + ".json"), "w") as f: json.dump(answer, f, indent=1)
        by_line = sites_by_line(answer, program)
        if a.growing:
            for r in rows:
                if r["line"] is not None: verdicts[grows_row(program, r, by_line.get(r["line"]))] += 1
            for line, site in sorted(by_line.items()):
                if line not in {r["line"] for r in rows} and growing(site): print("    %-24s %5d  no label              got %s, growing" % (program, line, site["verdict"]))
            continue
        labelled, cried = {r["line"]: r for r in rows}, False
        for r in rows:
            if r["line"] is None: continue
            site = by_line.get(r["line"])
            said = LABEL.get(site["verdict"], site["verdict"]) if site else "absent"
            if r.get("optional"): continue
            # a site below the floor may be left out of the answer: absent counts as minor where minor is accepted
            ok = said in r["accept"] or (said == "absent" and "minor" in r["accept"])
            graded += 1; right += ok; matrix[(r["label"], said)] += 1
            if r["label"] in POSITIVE:
                tp += said in POSITIVE; fn += said not in POSITIVE
            if not ok: print("%s:%s wants %s, got %s" % (program, r["line"], r["label"], said))
        for line, site in by_line.items():
            if LABEL.get(site["verdict"], site["verdict"]) in POSITIVE:
                r = labelled.get(line)
                if r is None or not (set(r["accept"]) & POSITIVE):
                    fp += 1; cried = True; print("%s:%s called %s without cause" % (program, line, site["verdict"]))
        if cried and not any(r["label"] in POSITIVE for r in rows): wolves += 1
    if a.growing:
        print("growing: %d right, %d wrong, %d that growth alone cannot judge" % (verdicts[True], verdicts[False], verdicts[None]))
        sys.exit(1 if verdicts[False] else 0)
    precision, recall = tp / (tp + fp) if tp + fp else 0.0, tp / (tp + fn) if tp + fn else 0.0
    print("confusion (truth -> said): " + ", ".join("%s -> %s %d" % (t, s, n) for (t, s), n in sorted(matrix.items())))
    print("leaking: TP %d FN %d FP %d, precision %.2f recall %.2f; innocent programs accused %d; exact class %d of %d" % (tp, fn, fp, precision, recall, wolves, right, graded))
    sys.exit(0 if precision >= .95 and recall >= .90 else 1)


if __name__ == "__main__":
    main()
