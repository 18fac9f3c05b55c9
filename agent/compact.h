/* A full chunk before it is written: what says nothing is left out. */
#ifndef TIDEGAUGE_COMPACT_H
#define TIDEGAUGE_COMPACT_H
#include "agent.h"
#include "event.h"

/* The chunk as it shall stand in the file, in memory that the next call uses again; the chunk itself when there is no memory. One caller at a time.
 * Left out: of a stack's transient births all but 64, spread evenly over the chunk, with number and bytes of the others told at its beginning; and times
 * that nothing follows. */
const struct chunk *compact(const struct chunk *chunk);
#endif
