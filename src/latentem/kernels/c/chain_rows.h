/* The recursions of chain.h over rows, for one vector unit: included once for each. */

/* Eight rows of eight, transposed; strides in doubles. */
INLINE void VARIANT(transpose)(const double *from, int64_t stride, double *to, int64_t apart) {
#ifdef LANES_OF_EIGHT
    octet m[8], n[8];
    for (int i = 0; i < 8; i += 2) {
        const octet a = GET(from + i * stride), b = GET(from + (i + 1) * stride);
        m[i] = SHUFFLE(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
        m[i + 1] = SHUFFLE(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = i; j < i + 2; j++) {
            n[j] = SHUFFLE(m[j], m[j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            n[j + 2] = SHUFFLE(m[j], m[j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; i++) {
        PUT(to + i * apart, SHUFFLE(n[i], n[i + 4], 0, 1, 2, 3, 8, 9, 10, 11));
        PUT(to + (i + 4) * apart, SHUFFLE(n[i], n[i + 4], 4, 5, 6, 7, 12, 13, 14, 15));
    }
#else
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) to[i * apart + j] = from[j * stride + i];
#endif
}

/* gamma (n, 8) as columns of the posterior (K, stride). */
INLINE void VARIANT(put_columns)(int64_t n_states, int64_t n, const double *gamma, double *posterior, int64_t stride) {
    int64_t t = 0;
    for (; n_states == 8 && t + 8 <= n; t += 8) VARIANT(transpose)(gamma + 8 * t, 8, posterior + t, stride);
    for (int64_t k = 0; k < n_states; k++)
        for (int64_t i = t; i < n; i++) posterior[k * stride + i] = gamma[8 * i + k];
}

/* By halves, which compilers add without moving single lanes. */
INLINE double VARIANT(sum_lanes)(const octet *s) {
    const quad lower = {(*s)[0], (*s)[1], (*s)[2], (*s)[3]}, upper = {(*s)[4], (*s)[5], (*s)[6], (*s)[7]};
    const quad halves = lower + upper;
    const pair left = {halves[0], halves[1]}, right = {halves[2], halves[3]}, quarters = left + right;
    return quarters[0] + quarters[1];
}

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
        double values[8 * TILE];
        for (int64_t t = 0; t < length; t++) peak[t] = log_density[start + t];
        for (int64_t k = 1; k < K; k++) {
            const double *row = log_density + k * stride + start;
            for (int64_t t = 0; t < length; t++) peak[t] = row[t] > peak[t] ? row[t] : peak[t];
        }
        for (int64_t k = 0; k < K; k++) {
            const double *row = log_density + k * stride + start;
            double *value = values + k % 8 * TILE;
            for (int64_t t = 0; t < length; t++) value[t] = exp_nonpositive(row[t] - peak[t]);
            if (chain->guarded)
                for (int64_t t = 0; t < length; t++) {
                    const double kept = value[t] < SMALLEST_DENSITY ? SMALLEST_DENSITY : value[t];
                    value[t] = row[t] == -INFINITY ? 0.0 : kept;
                }
            if (k + (8 - k % 8) > K || length < TILE)
                for (int64_t t = 0; t < length; t++) b[(start + t) * width + k] = value[t];
            else if (k % 8 == 7)
                for (int64_t t = 0; t < TILE; t += 8)
                    VARIANT(transpose)(values + t, TILE, b + (start + t) * width + k - 7, width);
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
        const double sum = VARIANT(sum_lanes)(&total);
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
        const double sum = VARIANT(sum_lanes)(&total);
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
        const double overlap = VARIANT(sum_lanes)(&total);
        if (!(overlap >= DBL_MIN)) return LOST;
        const double inverse = 1.0 / overlap, share = inverse / sums[t];
        for (int64_t v = 0; v < width; v += 8) {
            const octet value = GET(gamma + t * width + v) * inverse;
            if (chain->guarded) raised += WHERE(GET(alpha + (t + 1) * width + v) <= SMALLEST_MASS, value);
            PUT(gamma + t * width + v, value);
            PUT(ahead + t * width + v, GET(b + t * width + v) * GET(beta + t * width + v) * share);
        }
    }
    if (chain->guarded && !(VARIANT(sum_lanes)(&raised) <= LARGEST_RAISED)) return LOST;
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

/* x' M for eight states, rows of M in registers. */
#undef EIGHT_TIMES
#define EIGHT_TIMES(x, m)                                                                                      \
    (((x)[0] * m[0] + (x)[4] * m[4]) + ((x)[1] * m[1] + (x)[5] * m[5])                                         \
     + (((x)[2] * m[2] + (x)[6] * m[6]) + ((x)[3] * m[3] + (x)[7] * m[7])))

/* The next two are the two after them for up to eight states of a chain that is not guarded.  A row waits for the one
 * before it; its share of what is gathered is computed meanwhile. */
APART int VARIANT(backward_combine_eight)(const Chain *chain, int64_t n, const double *b, const double *alpha,
                                          const double *sums, double *given, double *posterior, int64_t stride,
                                          double *pairs, double *gamma) {
    octet m[8], message = GET(given);
    double inverse = 1.0, ahead[8];
    for (int j = 0; j < 8; j++) m[j] = GET(chain->transposed + 8 * j);
    for (int64_t stop = n; stop > 0; stop -= TILE) {
        const int64_t start = stop > TILE ? stop - TILE : 0;
        octet gathered[8];
        for (int j = 0; j < 8; j++) gathered[j] = (octet){0};
        for (int64_t t = stop - 1; t >= start; t--) {
            const octet beta = message * inverse, onward = GET(b + 8 * t) * beta;
            const double sum = VARIANT(sum_lanes)(&beta);
            PUT(ahead, onward);
            message = EIGHT_TIMES(ahead, m);
            inverse = 1.0 / sum;
            const octet joint = GET(alpha + 8 * (t + 1)) * beta;
            const double overlap = VARIANT(sum_lanes)(&joint);
            if (!(sum > 0.0 && sum <= DBL_MAX && overlap >= DBL_MIN)) return LOST;
            const double scale = 1.0 / overlap;
            const octet right = onward * (scale / sums[t]);
            PUT(gamma + 8 * (t - start), joint * scale);
            for (int j = 0; j < 8; j++) gathered[j] += alpha[8 * t + j] * right;
        }
        VARIANT(put_columns)(chain->n_states, stop - start, gamma, posterior + start, stride);
        for (int j = 0; j < 8; j++) PUT(pairs + 8 * j, GET(pairs + 8 * j) + gathered[j]);
    }
    PUT(given, message * inverse);
    return POSSIBLE;
}

APART int VARIANT(forward_combine_eight)(const Chain *chain, int64_t n, const double *b, const double *beta,
                                         double *given, double *last, double *sums, double *posterior,
                                         int64_t stride, double *pairs, double *gamma) {
    octet m[8], message = GET(given);
    double inverse = 1.0, before[8], here[8];
    memcpy(here, last, sizeof here);
    for (int j = 0; j < 8; j++) m[j] = GET(chain->matrix + 8 * j);
    for (int64_t start = 0; start < n; start += TILE) {
        const int64_t stop = n - start < TILE ? n : start + TILE;
        octet gathered[8];
        for (int j = 0; j < 8; j++) gathered[j] = (octet){0};
        for (int64_t t = start; t < stop; t++) {
            const octet density = GET(b + 8 * t), future = GET(beta + 8 * t);
            const octet value = message * (density * inverse), joint = value * future;
            const double sum = VARIANT(sum_lanes)(&value), overlap = VARIANT(sum_lanes)(&joint);
            memcpy(before, here, sizeof before);
            PUT(here, value);
            message = EIGHT_TIMES(here, m);
            if (!(sum > 0.0 && sum <= DBL_MAX)) return IMPOSSIBLE;
            if (!(overlap >= DBL_MIN)) return LOST;
            inverse = 1.0 / sum;
            sums[t + 1] = sum;
            const double scale = 1.0 / overlap;
            const octet right = density * future * (scale / sums[t]);
            PUT(gamma + 8 * (t - start), joint * scale);
            for (int j = 0; j < 8; j++) gathered[j] += before[j] * right;
        }
        VARIANT(put_columns)(chain->n_states, stop - start, gamma, posterior + start, stride);
        for (int j = 0; j < 8; j++) PUT(pairs + 8 * j, GET(pairs + 8 * j) + gathered[j]);
    }
    memcpy(last, here, sizeof here);
    PUT(given, message * inverse);
    return POSSIBLE;
}

/* Backward through a block whose alpha is known, tile by tile. */
APART int VARIANT(backward_combine)(const Chain *chain, int64_t n, const double *b,
                            const double *alpha, const double *sums, double *message, double *posterior,
                            int64_t stride, double *pairs, double *work) {
    const int64_t width = chain->width;
    double *gamma = work, *ahead = gamma + TILE * width, *beta = ahead + TILE * width, *row = beta + TILE * width;
    if (width == 8 && !chain->guarded)
        return VARIANT(backward_combine_eight)(chain, n, b, alpha, sums, message, posterior, stride, pairs, gamma);
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
    if (width == 8 && !chain->guarded)
        return VARIANT(forward_combine_eight)(chain, n, b, beta, message, alpha, sums, posterior, stride, pairs,
                                              gamma);
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
        if (!(VARIANT(sum_lanes)(&total) <= LARGEST_ERROR * sums[t])) return LOST;
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
