/* The most probable path of each sequence of a batch (Viterbi 1967), for one vector unit: included once for each. */

/* Rows of (TILE, width) from (K, stride); returns whether one is NaN or +inf. */
INLINE int VARIANT(turn)(const LogChain *chain, const double *log_density, int64_t stride, int64_t n, double *rows) {
    int undefined = 0;
    for (int64_t k = 0; k < chain->n_states; k++) {
        const double *row = log_density + k * stride;
        for (int64_t t = 0; t < n; t++) {
            undefined |= !(row[t] < INFINITY);
            rows[t * chain->width + k] = row[t];
        }
    }
    for (int64_t t = 0; t < n; t++)
        for (int64_t k = chain->n_states; k < chain->width; k++) rows[t * chain->width + k] = 0.0;
    return undefined;
}

/* next(k) = max_j best(j) + log A_jk, and the lowest j that attains it. */
INLINE void VARIANT(step)(const LogChain *chain, const int64_t width, const double *best, double *next, double *from) {
    for (int64_t v = 0; v < width; v += 8) {
        octet top = best[0] + GET(chain->transition + v), origin = {0};
        for (int64_t j = 1; j < chain->n_states; j++) {
            const octet value = best[j] + GET(chain->transition + j * width + v);
            const mask better = value > top;
            top = SELECT(better, value, top);
            origin = SELECT(better, (octet){0} + (double)j, origin);
        }
        PUT(next + v, top);
        PUT(from + v, origin);
    }
}

#undef ONE_SEQUENCE
#define ONE_SEQUENCE(name, index)                                                                                    \
    INLINE double name(const LogChain *chain, const int64_t width, const double *log_density, int64_t stride,        \
                       int64_t length, index *origins, index *states, double *work) {                                \
        const int64_t K = chain->n_states;                                                                           \
        double *rows = work, *best = rows + TILE * width, *next = best + width, *from = next + width;                \
        for (int64_t start = 0; start < length; start += TILE) {                                                     \
            const int64_t n = length - start < TILE ? length - start : TILE;                                         \
            if (VARIANT(turn)(chain, log_density + start, stride, n, rows)) return -INFINITY;                                 \
            for (int64_t t = 0; t < n; t++) {                                                                        \
                if (start + t == 0) {                                                                                \
                    memcpy(next, chain->initial, (size_t)width * sizeof(double));                                    \
                } else {                                                                                             \
                    VARIANT(step)(chain, width, best, next, from);                                                            \
                    index *origin = origins + (start + t) * K;                                                       \
                    for (int64_t k = 0; k < K; k++) origin[k] = (index)from[k];                                      \
                }                                                                                                    \
                for (int64_t v = 0; v < width; v += 8) PUT(best + v, GET(next + v) + GET(rows + t * width + v));      \
            }                                                                                                        \
        }                                                                                                            \
        int64_t state = 0;                                                                                           \
        for (int64_t k = 1; k < K; k++) state = best[k] > best[state] ? k : state;                                   \
        if (best[state] == -INFINITY) return -INFINITY;                                                              \
        for (int64_t t = length - 1; t >= 0; t--) {                                                                  \
            states[t] = (index)state;                                                                                \
            if (t) state = origins[t * K + state];                                                                   \
        }                                                                                                            \
        return best[states[length - 1]];                                                                             \
    }

ONE_SEQUENCE(VARIANT(path_in_bytes), uint8_t)
ONE_SEQUENCE(VARIANT(path_in_pairs_of_bytes), uint16_t)

static void VARIANT(viterbi)(int64_t n_states, int64_t n_rows, int64_t n_groups, const int64_t *offsets,
                                    const double *initial, const double *transition, const double *log_density,
                                    void *origins, void *states, double *log_joint, double *work) {
    const LogChain chain = {n_states, (n_states + 7) / 8 * 8, initial, transition};
    for (int64_t g = 0; g < n_groups; g++) {
        const int64_t start = offsets[g], length = offsets[g + 1] - start;
        if (n_states > 256)
            log_joint[g] = VARIANT(path_in_pairs_of_bytes)(&chain, chain.width, log_density + start, n_rows, length, origins,
                                             (uint16_t *)states + start, work);
        else if (chain.width == 8)
            log_joint[g] = VARIANT(path_in_bytes)(&chain, 8, log_density + start, n_rows, length, origins,
                                               (uint8_t *)states + start, work);
        else
            log_joint[g] = VARIANT(path_in_bytes)(&chain, chain.width, log_density + start, n_rows, length, origins,
                                               (uint8_t *)states + start, work);
    }
}
