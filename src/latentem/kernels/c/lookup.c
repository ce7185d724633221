/* Columns of categories: log densities looked up in a table, and expected counts gathered by category. */
#include "latentem.h"

enum { TILE = 512 };

/* out (K, n) = table (K, C)[k, codes[i]], or with `more` that added to it. */
EXPORT CLONES void latentem_look_up(int64_t n_states, int64_t n, int64_t n_codes, int64_t more, const double *table,
                                    const int32_t *codes, double *out) {
    for (int64_t start = 0; start < n; start += TILE) {
        const int64_t stop = n - start < TILE ? n : start + TILE;
        for (int64_t k = 0; k < n_states; k++) {
            const double *restrict row = table + k * n_codes;
            double *restrict to = out + k * n;
            if (more)
                for (int64_t i = start; i < stop; i++) to[i] += row[codes[i]];
            else
                for (int64_t i = start; i < stop; i++) to[i] = row[codes[i]];
        }
    }
}

/* counts (K, C)[k, codes[i]] += weights (K, n); four states at a time, so that a repeated code is waited for less. */
EXPORT void latentem_count_codes(int64_t n_states, int64_t n, int64_t n_codes, const double *weights,
                                 const int32_t *codes, double *counts) {
    for (int64_t start = 0; start < n; start += TILE) {
        const int64_t stop = n - start < TILE ? n : start + TILE;
        int64_t k = 0;
        for (; k + 4 <= n_states; k += 4) {
            const double *w = weights + k * n;
            double *restrict c = counts + k * n_codes;
            for (int64_t i = start; i < stop; i++) {
                double *at = c + codes[i];
                at[0] += w[i];
                at[n_codes] += w[n + i];
                at[2 * n_codes] += w[2 * n + i];
                at[3 * n_codes] += w[3 * n + i];
            }
        }
        for (; k < n_states; k++)
            for (int64_t i = start; i < stop; i++) counts[k * n_codes + codes[i]] += weights[k * n + i];
    }
}
