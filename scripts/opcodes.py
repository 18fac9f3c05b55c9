"""Writes what this interpreter's bytecode looks like into src/views/blocks/opcodes.json, beside the entries of other versions.

    for python in python3.8 … python3.15; do $python scripts/opcodes.py src/views/blocks/opcodes.json; done

One entry a minor version; opcodes do not change after a version is released. Uses only `opcode` and `dis`.
"""

import dis
import json
import opcode
import sys

ENDS = {
    "JUMP_FORWARD",
    "JUMP_ABSOLUTE",
    "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT",
    "RETURN_VALUE",
    "RETURN_CONST",
    "RAISE_VARARGS",
    "RERAISE",
    "INTERPRETER_EXIT",
}
PUSHES_HANDLER = {"SETUP_FINALLY", "SETUP_WITH", "SETUP_ASYNC_WITH"}
# Names an END_ASYNC_FOR's SEND for the monitoring of branches; control does not go there.
NOT_A_JUMP = {"END_ASYNC_FOR"}
# Instruments that keep the opcode which they replace elsewhere, out of the bytecode's sight.
HIDES = {"INSTRUMENTED_LINE", "INSTRUMENTED_INSTRUCTION"}


def all_opcodes():
    """Name -> number, the specialised and instrumented ones included, the assembler's pseudo instructions (above 255) left out."""
    numbers = dict(opcode.opmap)
    numbers.update(getattr(dis, "_all_opmap", {}))
    numbers.update(getattr(opcode, "_specialized_opmap", {}))
    return {name: number for name, number in numbers.items() if number < 256}


def caches(numbers):
    counts = getattr(opcode, "_inline_cache_entries", {})
    if isinstance(counts, list):
        counts = {name: counts[number] for name, number in opcode.opmap.items() if number < len(counts)}
    # ENTER_EXECUTOR stands over a jump whose cache remains.
    counts = dict(counts, ENTER_EXECUTOR=counts.get("JUMP_BACKWARD", 0))
    return {name: count for name, count in counts.items() if count and name in numbers}


def bases(numbers):
    """Specialised or instrumented name -> the plain instruction whose place it takes."""
    base = {}
    for plain, family in getattr(opcode, "_specializations", {}).items():
        for name in family:
            if name in numbers:
                base[name] = plain
    for name in numbers:
        plain = name[len("INSTRUMENTED_"):]
        if name.startswith("INSTRUMENTED_") and name not in HIDES:
            # An instrument has no specialised form below it: the plain opcode has the same name.
            base[name] = plain if plain in numbers else None
    unknown = [name for name, plain in base.items() if plain is None]
    if unknown:
        sys.exit("no plain instruction known for %s" % ", ".join(unknown))
    return base


def entry():
    numbers = all_opcodes()
    base = bases(numbers)
    wide = sys.version_info >= (3, 10)
    plain = {name: number for name, number in numbers.items() if name not in base}
    relative = set(opcode.hasjrel) | set(getattr(opcode, "hasjump", ()))

    def select(condition):
        return sorted(number for name, number in plain.items() if condition(name, number))

    def jumps(backward):
        return select(lambda name, number: number in relative and name not in NOT_A_JUMP and ("JUMP_BACKWARD" in name or "POP_JUMP_BACKWARD" in name) == backward)

    def one(name):
        return numbers.get(name, -1)

    return {
        "argumentUnit": 2 if wide else 1,
        "extendedArg": one("EXTENDED_ARG"),
        "forIter": one("FOR_ITER"),
        "endFor": one("END_FOR"),
        "send": one("SEND"),
        "noInterrupt": one("JUMP_BACKWARD_NO_INTERRUPT"),
        "popBlock": one("POP_BLOCK") if "SETUP_FINALLY" in plain else -1,
        "callFinally": one("CALL_FINALLY"),
        "endFinally": one("END_FINALLY"),
        "endAsyncFor": one("END_ASYNC_FOR"),
        "enterExecutor": one("ENTER_EXECUTOR"),
        "hidden": select(lambda name, number: name in HIDES),
        "jumpsForward": jumps(False),
        "jumpsBackward": jumps(True),
        "jumpsAbsolute": sorted(set(opcode.hasjabs)),
        "pushesHandler": select(lambda name, number: name in PUSHES_HANDLER),
        "ends": select(lambda name, number: name in ENDS),
        "caches": {str(numbers[name]): count for name, count in sorted(caches(numbers).items(), key=lambda item: numbers[item[0]])},
        "base": {str(numbers[name]): numbers[plain] for name, plain in sorted(base.items(), key=lambda item: numbers[item[0]])},
    }


def main():
    path = sys.argv[1]
    try:
        with open(path) as file:
            known = json.load(file)
    except FileNotFoundError:
        known = {}
    known["%d.%d" % sys.version_info[:2]] = entry()
    ordered = {version: known[version] for version in sorted(known, key=lambda text: tuple(map(int, text.split("."))))}
    with open(path, "w") as file:
        lines = [json.dumps(version) + ": " + json.dumps(ordered[version]) for version in ordered]
        file.write("{\n  " + ",\n  ".join(lines) + "\n}\n")


main()
