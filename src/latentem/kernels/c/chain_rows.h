/* The recursions of chain.h over rows, for one vector unit: included once for each. */

/* out = x' M. */
INLINE void VARIANT(times)(const double *x, const double *m, const int64_t width, const int64_t depth, double *out) {
    int64_t left = width;
    while (left >= 32) COLUMNS(4);
    if (left == 24) COLUMNS(3);
    if (left == 16) COLUMNS(2);
    if (left == 8) COLUMNS(1);
}

/* b (n, width) and the peaks (n,) from log densities (K, stride). */
APART void VARIANT(emissions)(const Chain *chain, const double *log_density, int64_t stride, int64_t n, double *b,
                      double *peaks) {
    const int64_t K = chain->n_states, width = chain->width;
    for (int64_t start = 0; start < n; start += TILE) {
        const int64_t length = n - start < TILE ? n - start : TILE;
        double *restrict peak = peaks + start;
        double value[TILE];
        for (int64_t t = 0; t < length; t++) peak[t] = log_density[start + t];
        for (int64_t k = 1; k < K; k++) {
            const double *row = log_density + k * stride + start;
            for (int64_t t = 0; t < length; t++) peak[t] = row[t] > peak[t] ? row[t] : peak[t];
        }
        for (int64_t k = 0; k < K; k++) {
            const double *row = log_density + k * stride + start;
            for (int64_t t = 0; t < length; t++) value[t] = exp_nonpositive(row[t] - peak[t]);
            if (chain->guarded)
                for (int64_t t = 0; t < length; t++) {
                    const double kept = value[t] < SMALLEST_DENSITY ? SMALLEST_DENSITY : value[t];
                    value[t] = row[t] == -INFINITY ? 0.0 : kept;
                }
            for (int64_t t = 0; t < length; t++) b[(start + t) * width + k] = value[t];
        }
        for (int64_t t = 0; t < length; t++)
            for (int64_t k = K; k < width; k++) b[(start + t) * width + k] = 0.0;
    }
}

INLINE int VARIANT(forward_rows_sized)(const Chain *chain, const int64_t width, const int64_t depth, int64_t n,
                            const double *b, double *message, double *alpha, double *sums, double *predicted) {
    const octet smallest = (octet){0} + SMALLEST_MASS;
    double inverse = 1.0;
    for (int64_t t = 0; t < n; t++) {
        double *row = alpha + t * width;
        octet total = {0};
        for (int64_t v = 0; v < width; v += 8) {
            const octet ahead = GET(message + v), density = GET(b + t * width + v);
            octet value = ahead * (density * inverse);
            if (chain->guarded) value = RAISED(value, ahead, density);
            if (predicted) PUT(predicted + t * width + v, ahead * inverse);
            PUT(row + v, value);
            if (v) total += value;
            else total = value;
        }
        const double sum = REDUCE(total);
        if (!(sum > 0.0 && sum <= DBL_MAX)) return IMPOSSIBLE;
        sums[t] = sum;
        inverse = 1.0 / sum;
        VARIANT(times)(row, chain->matrix, width, depth, message);
    }
    for (int64_t v = 0; v < width; v += 8) PUT(message + v, GET(message + v) * inverse);
    return POSSIBLE;
}

/* alpha (n, width) and the sums u (n,).
 *
 * `message` is p(z_t | x_1 ... x_{t-1}) of the block's first row before, and of the row after its last afterwards.  With
 * `predicted` (n, width) those of all rows are kept. */
APART int VARIANT(forward_rows)(const Chain *given, int64_t n, const double *b, double *message, double *alpha,
                            double *sums, double *predicted) {
    const Chain chain = *given;
#undef SIZED
#define SIZED(width, depth) \
    VARIANT(forward_rows_sized)(&chain, width, depth, n, b, message, alpha, sums, predicted)
    return WITH_WIDTH(SIZED);
}

INLINE int VARIANT(backward_rows_sized)(const Chain *chain, const int64_t width, const int64_t depth, int64_t n,
                            const double *b, const double *alpha, double *message, double *beta, double *ahead) {
    double inverse = 1.0;
    for (int64_t t = n - 1; t >= 0; t--) {
        double *row = beta + t * width;
        octet total = {0};
        for (int64_t v = 0; v < width; v += 8) {
            octet value = GET(message + v) * inverse;
            octet measure = value;
            if (chain->guarded) {
                const octet here = GET(alpha + t * width + v);
                value = WHERE(here != 0.0, value);
                measure = here * value;
            }
            PUT(row + v, value);
            PUT(ahead + v, GET(b + t * width + v) * value);
            if (v) total += measure;
            else total = measure;
        }
        const double sum = REDUCE(total);
        if (!(sum > 0.0 && sum <= DBL_MAX)) return LOST;
        inverse = 1.0 / sum;
        VARIANT(times)(ahead, chain->transposed, width, depth, message);
    }
    for (int64_t v = 0; v < width; v += 8) PUT(message + v, GET(message + v) * inverse);
    return POSSIBLE;
}

/* beta (n, width); `message` is beta of the block's last row before, of the row before its first afterwards.
 *
 * Where the chain is guarded alpha (n, width) must be known: beta is then measured by its overlap with alpha instead of its
 * sum, and 0 for states that cannot have been reached, however well they would have gone on. */
APART int VARIANT(backward_rows)(const Chain *given, int64_t n, const double *b, const double *alpha, double *message,
                            double *beta, double *ahead) {
    const Chain chain = *given;
#undef SIZED
#define SIZED(width, depth) \
    VARIANT(backward_rows_sized)(&chain, width, depth, n, b, alpha, message, beta, ahead)
    return WITH_WIDTH(SIZED);
}

/* pairs (width, width) += sum over n rows of left' right, eight rows of it at a time in registers. */
INLINE void VARIANT(add_products)(const int64_t width, const int64_t depth, int64_t n, const double *left,
                                  const double *right, double *pairs) {
    for (int64_t v = 0; v < width; v += 8)
        for (int64_t j = 0; j < depth; j += 8) {
            octet s[8];
            for (int i = 0; i < 8; i++) s[i] = (octet){0};
            for (int64_t t = 0; t < n; t++) {
                const octet r = GET(right + t * width + v);
                for (int i = 0; i < 8; i++) s[i] += left[t * width + j + i] * r;
            }
            for (int i = 0; i < 8; i++) PUT(pairs + (j + i) * width + v, GET(pairs + (j + i) * width + v) + s[i]);
        }
}

INLINE int VARIANT(combine_rows_sized)(const Chain *chain, const int64_t width, const int64_t depth, int64_t n,
                            const double *b, const double *alpha, const double *sums, const double *beta,
                            double *gamma, double *ahead, double *posterior, int64_t stride, double *pairs) {
    octet raised = {0};
    for (int64_t t = 0; t < n; t++) {
        octet total = {0};
        for (int64_t v = 0; v < width; v += 8) {
            const octet value = GET(alpha + (t + 1) * width + v) * GET(beta + t * width + v);
            PUT(gamma + t * width + v, value);
            if (v) total += value;
            else total = value;
        }
        const double overlap = REDUCE(total);
        if (!(overlap >= DBL_MIN)) return LOST;
        const double inverse = 1.0 / overlap, share = inverse / sums[t];
        for (int64_t v = 0; v < width; v += 8) {
            const octet value = GET(gamma + t * width + v) * inverse;
            if (chain->guarded) raised += WHERE(GET(alpha + (t + 1) * width + v) <= SMALLEST_MASS, value);
            PUT(gamma + t * width + v, value);
            PUT(ahead + t * width + v, GET(b + t * width + v) * GET(beta + t * width + v) * share);
        }
    }
    if (chain->guarded && !(REDUCE(raised) <= LARGEST_RAISED)) return LOST;
    for (int64_t k = 0; k < chain->n_states; k++)
        for (int64_t t = 0; t < n; t++) posterior[k * stride + t] = gamma[t * width + k];
    VARIANT(add_products)(width, depth, n, alpha, ahead, pairs);
    return POSSIBLE;
}

/* Posteriors of at most TILE rows to (K, stride), and their share of the pairs; `alpha` and `sums` begin a row before. */
APART int VARIANT(combine_rows)(const Chain *given, int64_t n, const double *b, const double *alpha,
                            const double *sums, const double *beta, double *gamma, double *ahead, double *posterior,
                            int64_t stride, double *pairs) {
    const Chain chain = *given;
#undef SIZED
#define SIZED(width, depth) \
    VARIANT(combine_rows_sized)(&chain, width, depth, n, b, alpha, sums, beta, gamma, ahead, posterior, stride, pairs)
    return WITH_WIDTH(SIZED);
}

/* Backward through a block whose alpha is known, tile by tile. */
APART int VARIANT(backward_combine)(const Chain *chain, int64_t n, const double *b,
                            const double *alpha, const double *sums, double *message, double *posterior,
                            int64_t stride, double *pairs, double *work) {
    const int64_t width = chain->width;
    double *gamma = work, *ahead = gamma + TILE * width, *beta = ahead + TILE * width, *row = beta + TILE * width;
    for (int64_t stop = n; stop > 0; stop -= TILE) {
        const int64_t start = stop > TILE ? stop - TILE : 0;
        int status = VARIANT(backward_rows)(chain, stop - start, b + start * width,
                                            alpha + (start + 1) * width, message, beta, row);
        if (!status)
            status = VARIANT(combine_rows)(chain, stop - start, b + start * width, alpha + start * width,
                                  sums + start, beta, gamma, ahead, posterior + start, stride, pairs);
        if (status) return status;
    }
    return POSSIBLE;
}

/* Forward through a block whose beta is known, tile by tile; alpha (TILE + 1, width) begins with the row before. */
APART int VARIANT(forward_combine)(const Chain *chain, int64_t n, const double *b,
                           const double *beta, double *message, double *alpha, double *sums, double *posterior,
                           int64_t stride, double *pairs, double *work) {
    const int64_t width = chain->width;
    double *gamma = work, *ahead = gamma + TILE * width;
    for (int64_t start = 0; start < n; start += TILE) {
        const int64_t length = n - start < TILE ? n - start : TILE;
        int status = VARIANT(forward_rows)(chain, length, b + start * width, message, alpha + width,
                                  sums + start + 1, 0);
        if (!status)
            status = VARIANT(combine_rows)(chain, length, b + start * width, alpha, sums + start,
                                  beta + start * width, gamma, ahead, posterior + start, stride, pairs);
        if (status) return status;
        memcpy(alpha, alpha + length * width, (size_t)width * sizeof(double));
    }
    return POSSIBLE;
}

INLINE int VARIANT(error_rows_sized)(const Chain *chain, const int64_t width, const int64_t depth, int64_t n,
                            const double *b, const double *alpha, const double *sums, double *error,
                            double *message) {
    for (int64_t t = 0; t < n; t++) {
        octet total = {0};
        for (int64_t v = 0; v < width; v += 8) {
            const octet here = GET(alpha + t * width + v);
            octet value = GET(error + v) * GET(b + t * width + v);
            value += WHERE((here > 0.0) & (here <= SMALLEST_MASS), (octet){0} + SMALLEST_MASS);
            PUT(message + v, value);
            total += value;
        }
        if (!(REDUCE(total) <= LARGEST_ERROR * sums[t])) return LOST;
        VARIANT(times)(message, chain->matrix, width, depth, error);
        for (int64_t v = 0; v < width; v += 8) PUT(error + v, GET(error + v) / sums[t]);
    }
    return POSSIBLE;
}

/* A bound `error` (width,) on what raising masses has done to alpha of the rows, carried forward as alpha itself is;
 * `message` (width,) is work space.  Returns LOST where it could show. */
APART int VARIANT(error_rows)(const Chain *given, int64_t n, const double *b, const double *alpha, const double *sums,
                            double *error, double *message) {
    const Chain chain = *given;
#undef SIZED
#define SIZED(width, depth) VARIANT(error_rows_sized)(&chain, width, depth, n, b, alpha, sums, error, message)
    return WITH_WIDTH(SIZED);
}
