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
 * Underflow.  Where every transition is at least 1e-100, what is lost is far below rounding.  Elsewhere (`guarded`) a
 * state that seemed lost may be the only one that leads on.  There no positive alpha is let below SMALLEST_MASS: zero
 * means impossible and nothing else.  Beta is then measured by its overlap with alpha, so that gamma tells what a mass
 * that was raised has come to: nothing, as long as it is at most LARGEST_RAISED.  Positive transitions below 1e-100 are
 * raised to that by the caller, and their share of the posterior is looked at likewise.  Where something raised counts, the
 * sequence is LOST, and left to a recursion in logarithms.
 */
#ifndef LATENTEM_CHAIN_H
#define LATENTEM_CHAIN_H

#include "latentem.h"

/* The recursions are compiled once for each vector unit, and the exported functions choose.  (Clones by the compiler would
 * come too late: it splits vectors of eight into those of the plainest unit first.) */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(LATENTEM_NO_CLONES)
#define VARIANTS 1
#define CHOSEN(name)                                         \
    (__builtin_cpu_supports("avx512f") ? name##_avx512f      \
     : __builtin_cpu_supports("avx2")  ? name##_avx2         \
                                       : name##_plain)
#else
#define CHOSEN(name) name##_plain
#endif

typedef double octet __attribute__((vector_size(64), aligned(8), may_alias));
typedef int64_t mask __attribute__((vector_size(64), aligned(8), may_alias));
#define GET(p) (*(const octet *)(p))
#define PUT(p, v) (*(octet *)(p) = (v))
/* v where the mask is set, else 0. */
#define WHERE(m, v) ((octet)((m) & (mask)(v)))
#define SELECT(m, v, otherwise) ((octet)(((m) & (mask)(v)) | (~(m) & (mask)(otherwise))))
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (mask){__VA_ARGS__})
#endif

typedef double quad __attribute__((vector_size(32)));
typedef double pair __attribute__((vector_size(16)));

enum { TILE = 64, POSSIBLE = 0, IMPOSSIBLE = 1, LOST = 2 };

static const double SMALLEST_DENSITY = 1e-250;
static const double SMALLEST_MASS = 1e-200;
static const double LARGEST_RAISED = 1e-30; /* share of the posterior */
static const double LARGEST_ERROR = 1e-25;  /* of a forward recursion alone */
static const double SMALLEST_PRODUCT = 1e-140;

typedef struct {
    int64_t n_states, width, depth; /* K; rounded up to eights; rounded up to fours */
    const double *matrix;           /* (width, width): A, zeros beyond K */
    const double *transposed;
    int guarded;
} Chain;

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

/* value, but not below SMALLEST_MASS, and 0 where one of the two factors is 0; NaN stays. */
#define RAISED(value, left, right) \
    WHERE(~(((left) == 0.0) | ((right) == 0.0)), SELECT((value) < smallest, smallest, value))

/* `call` with the widths that are most used as constants. */
#define WITH_WIDTH(call)                                        \
    (chain.width == 8 && chain.depth == 4  ? call(8, 4)         \
     : chain.width == 8                    ? call(8, 8)         \
     : chain.width == 16                   ? call(16, chain.depth) \
     : chain.width == 32                   ? call(32, chain.depth) \
                                           : call(chain.width, chain.depth))

/* Sequences longer than this keep alpha at the seams of blocks alone and compute it again, block by block, on the way
 * back. */
enum { BLOCK = 1024 };

typedef struct {
    double *b, *alpha, *sums, *peaks; /* of a block: (BLOCK, width), (BLOCK + 1, width), (BLOCK + 1,), (BLOCK,) */
    double *pairs, *message, *tile;   /* (width, width), (width,), see tile_work */
    double *seams;                    /* (blocks, 2, width): message and the normalized alpha before each block */
} Work;

INLINE int64_t shorter(int64_t a, int64_t b) { return a < b ? a : b; }

INLINE int64_t blocks_of(int64_t length) { return (length + BLOCK - 1) / BLOCK; }

typedef struct {
    int64_t n_states, width;
    const double *transition; /* (K, width): log, -inf beyond the states */
} LogChain;

INLINE Chain chain_of(int64_t n_states, const double *matrix, const double *transposed, int64_t guarded) {
    const Chain chain = {n_states, (n_states + 7) / 8 * 8, (n_states + 3) / 4 * 4, matrix, transposed, guarded != 0};
    return chain;
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

/* Work space of the two below: gamma, ahead and beta of a tile, and one row. */
INLINE int64_t tile_work(int64_t width) { return 3 * TILE * width + width; }

/* The row before a block: its normalized alpha, nothing before the first row of a sequence. */
INLINE void begin_block(int64_t width, const double *last, double *alpha, double *sums) {
    memcpy(alpha, last, (size_t)width * sizeof(double));
    sums[0] = 1.0;
}

INLINE void end_block(int64_t width, int64_t n, const double *alpha, const double *sums, double *last) {
    for (int64_t k = 0; k < width; k++) last[k] = alpha[n * width + k] / sums[n];
}

#endif
