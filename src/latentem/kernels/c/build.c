/* What the library says of itself: what it was built from, and how. */
#include "latentem.h"

#ifndef LATENTEM_VERSION
#define LATENTEM_VERSION "unknown"
#endif
#ifndef LATENTEM_FLAGS
#define LATENTEM_FLAGS "unknown"
#endif

EXPORT const char *latentem_version(void) { return LATENTEM_VERSION; }
EXPORT const char *latentem_flags(void) { return LATENTEM_FLAGS; }

/* For the tests of the exponential. */
EXPORT CLONES void latentem_exp(int64_t n, const double *x, double *y) {
    for (int64_t i = 0; i < n; i++) y[i] = exp_nonpositive(x[i]);
}
