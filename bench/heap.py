"""What reading a heap costs: python3 bench/heap.py [MILLIONS] [PYTHON]

Starts PYTHON (default: the one that runs this) with about MILLIONS * 1e6 mixed objects, lets `./tidegauge heap PID -o FILE` read them from outside, and
prints one line of JSON: CPU of the reader, its peak, how long the target stood still, whether the target's memory changed, bytes an object on disk, and what
opening the file again costs. The command must have been called once before, so that everything is built."""
import json, os, resource, subprocess, sys, tempfile

TARGET = """
import sys, time
class P:
    def __init__(self, i):
        self.a = i + 1000; self.b = float(i); self.c = "key%d" % i
class S:
    __slots__ = ("x", "y")
    def __init__(self, i):
        self.x = (i, i + 1000); self.y = [i]
keep = [(P(i), S(i), {"id": i + 500, "name": "n%d" % i}) for i in range(int(sys.argv[1]) // 14)]
print("ready", flush=True)
sys.stdin.read()
"""
TIDEGAUGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tidegauge")


def resident(pid):
    with open("/proc/%d/status" % pid) as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def timed(words):
    """CPU seconds, peak bytes and output of a command."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit("%s failed" % words[0])
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output


def main():
    millions = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    python = sys.argv[2] if len(sys.argv) > 2 else sys.executable
    target = subprocess.Popen([python, "-c", TARGET, str(int(millions * 1e6))], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    target.stdout.readline()
    before = resident(target.pid)
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "heap.tide")
        plain, peak, _ = timed([TIDEGAUGE, "heap", str(target.pid), "--json"])
        keeping, _, output = timed([TIDEGAUGE, "heap", str(target.pid), "--json", "-o", file])
        answer = json.loads(output)
        opening, _, _ = timed([TIDEGAUGE, "heap", file, "--json"])
        after = resident(target.pid)
        size = os.path.getsize(file)
    target.stdin.close()
    target.wait()
    print(json.dumps({
        "objects": answer["objects"], "targetBytes": before, "targetGrewBytes": after - before,
        "stopMilliseconds": round(answer["stopMilliseconds"]), "cpuSeconds": round(plain, 2), "readerPeakBytes": peak,
        "cpuSecondsWithFile": round(keeping, 2), "fileBytesPerObject": round(size / answer["objects"], 1),
        "openCpuSeconds": round(opening, 2), "refcountsExplained": round(answer["audit"]["refcountsExplained"], 5),
        "load": os.getloadavg()[0],
    }))


main()
