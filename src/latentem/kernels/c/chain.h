/* Recursions of Markov chains over blocks of rows, forward and backward independent of each other.
 *
 * Within a block rows hold `width` doubles, the number of states rounded up to eights, with zeros beyond the states:
 *
 *   b_t      exp(log density - peak), at most 1
 *   alpha_t  (alpha_{t-1} A) b_t / u_{t-1} with u_t = sum alpha_t, so that u_t = p(x_t | x_1 ... x_{t-1}) / exp(peak)
 *   beta_t   A (b_{t+1} beta_{t+1}) / sum beta_{t+1}
 *
 * Dividing by the last sum instead of the present one keeps division and sum off the path that the next step waits for.
 * gamma_t = alpha_t beta_t / n_t with n_t = sum alpha_t beta_t, and p(z_{t-1} = j, z_t = k | x) =
 * alpha_{t-1}(j) A_jk b_t(k) beta_t(k) / (n_t u_{t-1}).
 *
 * Underflow.  Where every transition is at least SMALLEST_TRANSITION, what is lost is far below rounding.  Elsewhere
 * (`guarded`) a state that seemed lost may be the only one that leads on.  There no positive mass is let below a smallest
 * one: zero means impossible and nothing else.  All that was raised weighs at most about K^2 SMALLEST_MASS beside n_t,
 * hence nothing as long as n_t >= SMALLEST_OVERLAP, which is checked at every row.  Positive transitions below
 * SMALLEST_TRANSITION are raised to it by the caller, who checks afterwards that they were not taken.
 */
#ifndef LATENTEM_CHAIN_H
#define LATENTEM_CHAIN_H

#include "latentem.h"

typedef double octet __attribute__((vector_size(64), aligned(8), may_alias));
typedef int64_t mask __attribute__((vector_size(64), aligned(8), may_alias));
#define GET(p) (*(const octet *)(p))
#define PUT(p, v) (*(octet *)(p) = (v))
/* v where the mask is set, else 0. */
#define WHERE(m, v) ((octet)((m) & (mask)(v)))
#define SELECT(m, v, otherwise) ((octet)(((m) & (mask)(v)) | (~(m) & (mask)(otherwise))))
#define REDUCE(s) ((((s)[0] + (s)[4]) + ((s)[2] + (s)[6])) + (((s)[1] + (s)[5]) + ((s)[3] + (s)[7])))

enum { TILE = 64, POSSIBLE = 0, IMPOSSIBLE = 1, LOST = 2 };

static const double SMALLEST_DENSITY = 1e-250;
static const double SMALLEST_MASS = 1e-200;
static const double SMALLEST_OVERLAP = 1e-160;
static const double SMALLEST_INCREMENT = 1e-80; /* of a forward recursion alone, where raised transitions may be taken */
static const double SMALLEST_PRODUCT = 1e-140;

typedef struct {
    int64_t n_states, width, depth; /* K; rounded up to eights; rounded up to fours */
    const double *matrix;           /* (width, width): A, zeros beyond K */
    const double *transposed;
    int guarded;
} Chain;

INLINE Chain chain_of(int64_t n_states, const double *matrix, const double *transposed, int64_t guarded) {
    const Chain chain = {n_states, (n_states + 7) / 8 * 8, (n_states + 3) / 4 * 4, matrix, transposed, guarded != 0};
    return chain;
}

#define COLUMNS(V)                                                                                         \
    do {                                                                                                   \
        octet s[4][V];                                                                                     \
        for (int i = 0; i < 4; i++)                                                                        \
            for (int v = 0; v < V; v++) s[i][v] = x[i] * GET(m + i * width + 8 * v);                       \
        for (int64_t j = 4; j < depth; j += 4)                                                             \
            for (int i = 0; i < 4; i++)                                                                    \
                for (int v = 0; v < V; v++) s[i][v] += x[j + i] * GET(m + (j + i) * width + 8 * v);        \
        for (int v = 0; v < V; v++) PUT(out + 8 * v, (s[0][v] + s[1][v]) + (s[2][v] + s[3][v]));           \
        m += 8 * V;                                                                                        \
        out += 8 * V;                                                                                      \
        left -= 8 * V;                                                                                     \
    } while (0)

/* out = x' M. */
INLINE void times(const double *x, const double *m, const int64_t width, const int64_t depth, double *out) {
    int64_t left = width;
    while (left >= 32) COLUMNS(4);
    if (left == 24) COLUMNS(3);
    if (left == 16) COLUMNS(2);
    if (left == 8) COLUMNS(1);
}

/* b (n, width) and the peaks (n,) from log densities (K, stride). */
INLINE void emissions(const Chain *chain, const double *log_density, int64_t stride, int64_t n, double *b,
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

INLINE double sum_of(const double *values, int64_t n) {
    Accumulator total = {0.0, 0.0};
    for (int64_t t = 0; t < n; t++) accumulate(&total, values[t]);
    return total.sum + total.lost;
}

/* Sum of logarithms by products: a logarithm only when a product is about to underflow. */
INLINE double sum_of_logs(const double *values, int64_t n) {
    Accumulator total = {0.0, 0.0};
    double product = 1.0;
    for (int64_t t = 0; t < n; t++) {
        if (values[t] < SMALLEST_PRODUCT) {
            accumulate(&total, log(values[t]));
            continue;
        }
        product *= values[t];
        if (product < SMALLEST_PRODUCT) {
            accumulate(&total, log(product));
            product = 1.0;
        }
    }
    accumulate(&total, log(product));
    return total.sum + total.lost;
}

/* value, but not below SMALLEST_MASS, and 0 where one of the two factors is 0; NaN stays. */
#define RAISED(value, left, right) \
    WHERE(~(((left) == 0.0) | ((right) == 0.0)), SELECT((value) < smallest, smallest, value))

/* alpha (n, width) and the sums u (n,).
 *
 * `message` is p(z_t | x_1 ... x_{t-1}) of the block's first row before, and of the row after its last afterwards.  With
 * `predicted` (n, width) those of all rows are kept. */
INLINE int forward_rows(const Chain *chain, const int64_t width, const int64_t depth, int64_t n, const double *b,
                        double *message, double *alpha, double *sums, double *predicted) {
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
        times(row, chain->matrix, width, depth, message);
    }
    for (int64_t v = 0; v < width; v += 8) PUT(message + v, GET(message + v) * inverse);
    return POSSIBLE;
}

/* beta (n, width); `message` is beta of the block's last row before, of the row before its first afterwards. */
INLINE int backward_rows(const Chain *chain, const int64_t width, const int64_t depth, int64_t n, const double *b,
                         double *message, double *beta, double *ahead) {
    const octet smallest = (octet){0} + SMALLEST_MASS;
    double inverse = 1.0;
    for (int64_t t = n - 1; t >= 0; t--) {
        double *row = beta + t * width;
        octet total = {0};
        for (int64_t v = 0; v < width; v += 8) {
            const octet density = GET(b + t * width + v), value = GET(message + v) * inverse;
            octet joint = density * value;
            if (chain->guarded) joint = RAISED(joint, density, value);
            PUT(row + v, value);
            PUT(ahead + v, joint);
            if (v) total += value;
            else total = value;
        }
        const double sum = REDUCE(total);
        if (!(sum > 0.0 && sum <= DBL_MAX)) return IMPOSSIBLE;
        inverse = 1.0 / sum;
        times(ahead, chain->transposed, width, depth, message);
    }
    for (int64_t v = 0; v < width; v += 8) PUT(message + v, GET(message + v) * inverse);
    return POSSIBLE;
}

/* pairs (width, width) += sum over n rows of left' right, eight rows of it at a time in registers. */
INLINE void add_products(const int64_t width, const int64_t depth, int64_t n, const double *left, const double *right,
                         double *pairs) {
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

/* Posteriors of at most TILE rows to (K, stride), and their share of the pairs; `alpha` and `sums` begin a row before. */
INLINE int combine_rows(const Chain *chain, const int64_t width, const int64_t depth, int64_t n, const double *b,
                        const double *alpha, const double *sums, const double *beta, double *gamma, double *ahead,
                        double *posterior, int64_t stride, double *pairs) {
    const double least = chain->guarded ? SMALLEST_OVERLAP : DBL_MIN;
    for (int64_t t = 0; t < n; t++) {
        octet total = {0};
        for (int64_t v = 0; v < width; v += 8) {
            const octet value = GET(alpha + (t + 1) * width + v) * GET(beta + t * width + v);
            PUT(gamma + t * width + v, value);
            if (v) total += value;
            else total = value;
        }
        const double overlap = REDUCE(total);
        if (!(overlap >= least)) return LOST;
        const double inverse = 1.0 / overlap, share = inverse / sums[t];
        for (int64_t v = 0; v < width; v += 8) {
            PUT(gamma + t * width + v, GET(gamma + t * width + v) * inverse);
            PUT(ahead + t * width + v, GET(b + t * width + v) * GET(beta + t * width + v) * share);
        }
    }
    for (int64_t k = 0; k < chain->n_states; k++)
        for (int64_t t = 0; t < n; t++) posterior[k * stride + t] = gamma[t * width + k];
    add_products(width, depth, n, alpha, ahead, pairs);
    return POSSIBLE;
}

/* Work space of the two below: gamma, ahead and beta of a tile, and one row. */
INLINE int64_t tile_work(int64_t width) { return 3 * TILE * width + width; }

/* Backward through a block whose alpha is known, tile by tile. */
INLINE int backward_combine(const Chain *chain, const int64_t width, const int64_t depth, int64_t n, const double *b,
                            const double *alpha, const double *sums, double *message, double *posterior,
                            int64_t stride, double *pairs, double *work) {
    double *gamma = work, *ahead = gamma + TILE * width, *beta = ahead + TILE * width, *row = beta + TILE * width;
    for (int64_t stop = n; stop > 0; stop -= TILE) {
        const int64_t start = stop > TILE ? stop - TILE : 0;
        int status = backward_rows(chain, width, depth, stop - start, b + start * width, message, beta, row);
        if (!status)
            status = combine_rows(chain, width, depth, stop - start, b + start * width, alpha + start * width,
                                  sums + start, beta, gamma, ahead, posterior + start, stride, pairs);
        if (status) return status;
    }
    return POSSIBLE;
}

/* Forward through a block whose beta is known, tile by tile; alpha (TILE + 1, width) begins with the row before. */
INLINE int forward_combine(const Chain *chain, const int64_t width, const int64_t depth, int64_t n, const double *b,
                           const double *beta, double *message, double *alpha, double *sums, double *posterior,
                           int64_t stride, double *pairs, double *work) {
    double *gamma = work, *ahead = gamma + TILE * width;
    for (int64_t start = 0; start < n; start += TILE) {
        const int64_t length = n - start < TILE ? n - start : TILE;
        int status = forward_rows(chain, width, depth, length, b + start * width, message, alpha + width,
                                  sums + start + 1, 0);
        if (!status)
            status = combine_rows(chain, width, depth, length, b + start * width, alpha, sums + start,
                                  beta + start * width, gamma, ahead, posterior + start, stride, pairs);
        if (status) return status;
        memcpy(alpha, alpha + length * width, (size_t)width * sizeof(double));
    }
    return POSSIBLE;
}

/* `call` with the widths that are most used as constants. */
#define WITH_WIDTH(call)                                        \
    (chain.width == 8 && chain.depth == 4  ? call(8, 4)         \
     : chain.width == 8                    ? call(8, 8)         \
     : chain.width == 16                   ? call(16, chain.depth) \
     : chain.width == 32                   ? call(32, chain.depth) \
                                           : call(chain.width, chain.depth))

#endif
