"""Marks instants of a program that runs under the Tidegauge memory profiler, and does nothing elsewhere."""

import ctypes
from typing import Callable, Optional

__all__ = ["is_recording", "mark"]
__version__ = "0.1.0"


def _find_agent() -> "Optional[Callable[[bytes], None]]":
    """The agent's function, if the agent was loaded into this process."""
    try:
        function = ctypes.CDLL(None).tidegauge_mark
    except (AttributeError, OSError, TypeError):
        return None
    function.argtypes = [ctypes.c_char_p]
    function.restype = None
    return function


_agent_mark = _find_agent()


def is_recording() -> bool:
    """Whether this process was started by ``tidegauge run`` with its agent."""
    return _agent_mark is not None


def mark(label: str) -> None:
    """Names this instant in the recording. Labels may repeat; one that has a NUL ends there."""
    if not isinstance(label, str):
        raise TypeError("a label is a str, not " + type(label).__name__)
    if _agent_mark is not None:
        _agent_mark(label.encode("utf-8", "replace"))
