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

/* next(k) = max_j best(j) + log A_jk, and the lowest j that attains it, of eight states: what follows waits for the best
 * way alone, not for its origin. */
INLINE void VARIANT(step_of_eight)(const double *restrict transition, const double *restrict best,
                                   double *restrict next, int64_t *restrict origin) {
    const double b0 = best[0], b1 = best[1], b2 = best[2], b3 = best[3];
    const double b4 = best[4], b5 = best[5], b6 = best[6], b7 = best[7];
    for (int k = 0; k < 8; k++) {
        const double v0 = b0 + transition[k], v1 = b1 + transition[8 + k];
        const double v2 = b2 + transition[16 + k], v3 = b3 + transition[24 + k];
        const double v4 = b4 + transition[32 + k], v5 = b5 + transition[40 + k];
        const double v6 = b6 + transition[48 + k], v7 = b7 + transition[56 + k];
        const double m0 = v0 > v1 ? v0 : v1, m1 = v2 > v3 ? v2 : v3, m2 = v4 > v5 ? v4 : v5, m3 = v6 > v7 ? v6 : v7;
        const double n0 = m0 > m1 ? m0 : m1, n1 = m2 > m3 ? m2 : m3;
        const double top = n0 > n1 ? n0 : n1;
        int64_t from = v6 == top ? 6 : 7;
        from = v5 == top ? 5 : from;
        from = v4 == top ? 4 : from;
        from = v3 == top ? 3 : from;
        from = v2 == top ? 2 : from;
        from = v1 == top ? 1 : from;
        next[k] = top;
        origin[k] = v0 == top ? 0 : from;
    }
}

/* The same of more. */
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

/* Rows of up to eight states; returns whether a density is NaN or +inf. */
APART int VARIANT(advance_eight)(const LogChain *chain, const double *log_density, int64_t stride, int64_t n,
                                 double *given, uint8_t *origins, double *rows) {
    const int64_t K = chain->n_states;
    double transition[64], best[8], next[8];
    int64_t origin[8];
    memcpy(best, given, sizeof best);
    memcpy(transition, chain->transition, (size_t)K * sizeof best);
    for (int64_t i = 8 * K; i < 64; i++) transition[i] = -INFINITY;
    for (int64_t start = 0; start < n; start += TILE) {
        const int64_t length = n - start < TILE ? n - start : TILE;
        if (VARIANT(turn)(chain, log_density + start, stride, length, rows)) return 1;
        for (int64_t t = 0; t < length; t++) {
            VARIANT(step_of_eight)(transition, best, next, origin);
            for (int k = 0; k < 8; k++) best[k] = next[k] + rows[8 * t + k];
            uint8_t *place = origins + (start + t) * K;
            if (K == 8)
                for (int k = 0; k < 8; k++) place[k] = (uint8_t)origin[k];
            else
                for (int k = 0; k < K; k++) place[k] = (uint8_t)origin[k];
        }
    }
    memcpy(given, best, sizeof best);
    return 0;
}

#undef ADVANCE
#define ADVANCE(name, index)                                                                                         \
    APART int name(const LogChain *chain, const double *log_density, int64_t stride, int64_t n, double *best,        \
                   index *origins, double *work) {                                                                   \
        const int64_t K = chain->n_states, width = chain->width;                                                     \
        double *rows = work, *next = rows + TILE * width, *from = next + width;                                      \
        for (int64_t start = 0; start < n; start += TILE) {                                                          \
            const int64_t length = n - start < TILE ? n - start : TILE;                                              \
            if (VARIANT(turn)(chain, log_density + start, stride, length, rows)) return 1;                           \
            for (int64_t t = 0; t < length; t++) {                                                                   \
                VARIANT(step)(chain, width, best, next, from);                                                       \
                index *origin = origins + (start + t) * K;                                                           \
                for (int64_t k = 0; k < K; k++) origin[k] = (index)from[k];                                          \
                for (int64_t v = 0; v < width; v += 8) PUT(best + v, GET(next + v) + GET(rows + t * width + v));      \
            }                                                                                                        \
        }                                                                                                            \
        return 0;                                                                                                    \
    }

ADVANCE(VARIANT(advance_bytes), uint8_t)
ADVANCE(VARIANT(advance_pairs_of_bytes), uint16_t)

static int64_t VARIANT(viterbi_rows)(int64_t n_states, int64_t stride, int64_t n, const double *transition,
                                     const double *log_density, double *best, void *origins, double *work) {
    const LogChain chain = {n_states, (n_states + 7) / 8 * 8, transition};
    if (n_states > 256)
        return VARIANT(advance_pairs_of_bytes)(&chain, log_density, stride, n, best, origins, work);
    if (n_states > 8) return VARIANT(advance_bytes)(&chain, log_density, stride, n, best, origins, work);
    return VARIANT(advance_eight)(&chain, log_density, stride, n, best, origins, work);
}
