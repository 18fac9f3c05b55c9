"""What the interpreter itself says about bytecode, as JSON lines: the truth that the tests compare with.

    oracle.py static MODULE…   every code object of these modules (compiled from source): offsets, lines, jumps, handlers
    oracle.py dynamic FILE     runs FILE and prints, per code object of it, the steps from offset to offset that frames took
    oracle.py tracing FILE     runs FILE under a tracer of lines and prints bytecode as it lies in memory meanwhile (3.11 and later)
    oracle.py warm FILE        runs FILE and prints its code objects as the specialiser left them in memory (3.11 and later)
"""

import ast
import base64
import dis
import importlib.util
import json
import opcode
import sys
import types

VERSION = sys.version_info[:2]
NOT_A_JUMP = {opcode.opmap.get("END_ASYNC_FOR", -1)}


def text(data):
    return base64.b64encode(data).decode()


def line_table(code):
    return code.co_linetable if VERSION >= (3, 10) else code.co_lnotab


def lines(code):
    """[start offset, line or null] of every range."""
    if VERSION >= (3, 10):
        return [[start, line] for start, end, line in code.co_lines() if end > start]
    return [[start, line] for start, line in dis.findlinestarts(code)]


def describe(code, bytecode):
    return {
        "hex": sys.hexversion,
        "name": code.co_name,
        "flags": code.co_flags,
        "first": code.co_firstlineno,
        "table": text(line_table(code)),
        "code": text(bytecode),
        "exceptions": text(getattr(code, "co_exceptiontable", b"")),
    }


def static(code, source_loops):
    instructions = [i for i in dis.get_instructions(code) if i.opname != "CACHE"]
    jumping = set(dis.hasjrel) | set(dis.hasjabs)
    return dict(
        describe(code, code.co_code),
        starts=[i.offset for i in instructions],
        jumps=[[i.offset, i.argval] for i in instructions if i.opcode in jumping and i.opcode not in NOT_A_JUMP],
        returns=[i.offset + 2 for i in instructions if i.opname == "CALL_FINALLY"],
        handlers=[[e.start, e.end, e.target] for e in dis._parse_exception_table(code)] if VERSION >= (3, 11) else [],
        lines=lines(code),
        loops=source_loops.get((code.co_name, code.co_firstlineno), True),
    )


def codes_of(code):
    work = [code]
    while work:
        code = work.pop()
        yield code
        work.extend(const for const in code.co_consts if isinstance(const, types.CodeType))


LOOPS = (ast.For, ast.While, ast.AsyncFor, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def loops_by_function(tree):
    """(name, first line) -> whether the source of the function has a loop anywhere in it, nested functions included."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno] + [d.lineno for d in node.decorator_list])
            key = (node.name, first)
            found[key] = found.get(key, False) or any(isinstance(inner, LOOPS) for inner in ast.walk(node))
    return found


def print_static(names):
    for name in names:
        path = name if name.endswith(".py") else importlib.util.find_spec(name).origin
        try:
            with open(path, "rb") as file:
                source = file.read()
            tree = ast.parse(source)
            code = compile(source, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, UnicodeDecodeError):
            continue  # the test suite has files that are wrong on purpose
        loops = loops_by_function(tree)
        for each in codes_of(code):
            print(json.dumps(static(each, loops)))


def compiled(path):
    with open(path) as file:
        return compile(file.read(), path, "exec", dont_inherit=True)


def waits(code, step):
    """The frame went back to an `await` or `yield from` that was not done: in the source that is no step."""
    before, after = (dis.opname[code.co_code[offset]] for offset in step)
    return before == after == "YIELD_FROM" or (before == "JUMP_BACKWARD_NO_INTERRUPT" and after == "SEND")


def print_dynamic(path):
    steps = {}
    last = {}

    def trace(frame, event, argument):
        if frame.f_code.co_filename != path:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            # Frame objects are kept, so that no other frame takes the identity of one that is gone.
            before = last.get(id(frame))
            if before is not None and before[1] >= 0:
                steps.setdefault(frame.f_code, {})[(before[1], frame.f_lasti)] = True
            last[id(frame)] = (frame, frame.f_lasti)
        return trace

    code = compiled(path)
    sys._getframe().f_trace_opcodes = True  # 3.12 looks whether any frame asks for opcodes when the tracer is set
    sys.settrace(trace)
    try:
        exec(code, {"__name__": "__main__"})
    finally:
        sys.settrace(None)
    for code in steps:
        print(json.dumps(dict(describe(code, code.co_code), steps=[step for step in steps[code] if not waits(code, step)])))


def print_tracing(path):
    def trace(frame, event, argument):
        return trace if frame.f_code.co_filename == path else None

    code = compiled(path)
    sys.settrace(trace)
    try:
        exec(code, {"__name__": "__main__"})
        found = [(each, each._co_code_adaptive) for each in codes_of(code)]
    finally:
        sys.settrace(None)
    for each, bytecode in found:
        print(json.dumps(dict(describe(each, bytecode), plain=text(each.co_code))))


def print_warm(path):
    code = compiled(path)
    for run in range(30):
        exec(code, {"__name__": "__main__"})
    for each in codes_of(code):
        print(json.dumps(dict(describe(each, each._co_code_adaptive), plain=text(each.co_code))))


def main():
    command, *rest = sys.argv[1:]
    if command == "static":
        print_static(rest)
    else:
        {"dynamic": print_dynamic, "tracing": print_tracing, "warm": print_warm}[command](rest[0])


main()
