/* What the program may call: python/tidegauge reaches it through ctypes. */
#include "slow.h"

/* A labelled instant. 1: recorded, 0: not recording. */
EXPORT int tidegauge_mark(const char *label) {
    struct slow s = slow_enter(0);
    bool ok = false;
    if (s.t && label && out_ready(s.t)) {
        uint32_t id = trie_string(label, strlen(label));
        if (id) record_control(s.t, CONTROL_MARK, id), ok = true;
    }
    errno = s.saved_errno;
    slow_leave(&s);
    return ok;
}
