/* The row of frames_table.h for the interpreter in this process; filled once by python.c. Include after frames_table.h. */
#ifndef TIDEGAUGE_LAYOUT_H
#define TIDEGAUGE_LAYOUT_H
extern struct layout L;
#endif
