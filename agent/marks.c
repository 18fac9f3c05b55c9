#include "marks.h"

_Atomic(uint8_t *) g_marks[1 << (ADDRESS_BITS - 30)];

uint8_t *marks_map(uintptr_t address) {
    uint8_t *fresh = sys_map(MARK_BYTES), *seen = NULL;
    if (!fresh) {
        life_turn_off(OFF_ADDRESS_SPACE);
        return NULL;
    }
    if (atomic_compare_exchange_strong(&g_marks[address >> 30], &seen, fresh)) return fresh;
    sys_unmap(fresh, MARK_BYTES);
    return seen;
}
