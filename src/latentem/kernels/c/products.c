/* The two matrix products of an exponential family, W F and R F', moments, and the features of full-covariance Gaussians.
 *
 * F has few rows and many columns, a shape for which general matrix products spend much of their time on packing.  These
 * keep a tile of the result in registers and read F once.  They need 512-bit vectors (32 registers); on other machines
 * the caller takes the BLAS.  Multiplication and addition are fused here, so the last bits may differ from the BLAS's;
 * they do not depend on the number of threads.
 */
#include "latentem.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define WIDE 1
#if !defined(__clang__)
#pragma GCC optimize("O3,fp-contract=fast")
#else
#pragma STDC FP_CONTRACT ON
#endif
#define WIDE_TARGET __attribute__((target("avx512f")))
typedef double vec __attribute__((vector_size(64), aligned(8), may_alias));
#define LOAD(p) (*(const vec *)(p))
#define STORE(p, v) (*(vec *)(p) = (v))
enum { LANES = 8, BLOCK = 1024, MOMENT_ROWS = 96 };
#endif

/* Whether this machine can run the products below. */
EXPORT int64_t latentem_has_wide_vectors(void) {
#ifdef WIDE
    return __builtin_cpu_supports("avx512f") ? 1 : 0;
#else
    return 0;
#endif
}

enum { TILE = 256 };

/* Columns of y = (x - centre)' for n rows of x (n, D); rows of y are `stride` apart. */
INLINE void centre_tile(int64_t n, int64_t n_columns, const double *x, const double *centre, double *y,
                        int64_t stride) {
    for (int64_t d = 0; d < n_columns; d++)
        for (int64_t i = 0; i < n; i++) y[d * stride + i] = x[i * n_columns + d] - centre[d];
}

/* Rows y_i y_j (i <= j), y_i and 1, likewise. */
INLINE void products_tile(int64_t n, int64_t n_columns, const double *x, const double *centre, double *rows,
                          int64_t stride) {
    const int64_t pairs = n_columns * (n_columns + 1) / 2;
    double *y = rows + pairs * stride, *row = rows;
    centre_tile(n, n_columns, x, centre, y, stride);
    for (int64_t a = 0; a < n_columns; a++)
        for (int64_t b = a; b < n_columns; b++, row += stride) {
            const double *left = y + a * stride, *right = y + b * stride;
            for (int64_t i = 0; i < n; i++) row[i] = left[i] * right[i];
        }
    for (int64_t i = 0; i < n; i++) y[n_columns * stride + i] = 1.0;
}

/* Rows y_i^2, y_i and 1 of the centred values y = x - centre; x is (n, D), out (2D + 1, n). */
EXPORT CLONES void latentem_axis_features(int64_t n, int64_t n_columns, const double *restrict x,
                                          const double *restrict centre, double *restrict out) {
    for (int64_t start = 0; start < n; start += TILE) {
        const int64_t length = n - start < TILE ? n - start : TILE;
        double *rows = out + start, *y = rows + n_columns * n;
        centre_tile(length, n_columns, x + start * n_columns, centre, y, n);
        for (int64_t d = 0; d < n_columns; d++)
            for (int64_t i = 0; i < length; i++) rows[d * n + i] = y[d * n + i] * y[d * n + i];
        for (int64_t i = 0; i < length; i++) y[n_columns * n + i] = 1.0;
    }
}

/* Rows y_i y_j (i <= j), y_i and 1 of the centred values y = x - centre; x is (n, D), out (D(D+1)/2 + D + 1, n). */
EXPORT CLONES void latentem_product_features(int64_t n, int64_t n_columns, const double *restrict x,
                                             const double *restrict centre, double *restrict out) {
    for (int64_t start = 0; start < n; start += TILE) {
        const int64_t length = n - start < TILE ? n - start : TILE;
        products_tile(length, n_columns, x + start * n_columns, centre, out + start, n);
    }
}

#ifdef WIDE

/* H rows of W times a strip of V vectors of F. */
#define STRIP(H, V)                                                                           \
    do {                                                                                      \
        vec sum[H][V];                                                                        \
        for (int i = 0; i < H; i++)                                                           \
            for (int v = 0; v < V; v++) sum[i][v] = (vec){0};                                 \
        for (int64_t p = 0; p < n_features; p++) {                                            \
            vec f[V];                                                                         \
            for (int v = 0; v < V; v++) f[v] = LOAD(features + p * stride + start + LANES * v); \
            for (int i = 0; i < H; i++) {                                                     \
                const double w = weights[(k + i) * n_features + p];                           \
                for (int v = 0; v < V; v++) sum[i][v] += w * f[v];                            \
            }                                                                                 \
        }                                                                                     \
        for (int i = 0; i < H; i++)                                                           \
            for (int v = 0; v < V; v++) STORE(out + (k + i) * apart + start + LANES * v, sum[i][v]); \
        k += H;                                                                               \
    } while (0)

#define STRIPS(V)                                 \
    do {                                          \
        int64_t k = 0;                            \
        while (k + 8 <= n_states) STRIP(8, V);    \
        if (k + 4 <= n_states) STRIP(4, V);       \
        if (k + 2 <= n_states) STRIP(2, V);       \
        if (k < n_states) STRIP(1, V);            \
    } while (0)

/* out = weights (K, P) features (P, n); rows of features lie `stride` apart, those of out `apart`. */
static WIDE_TARGET void weigh(int64_t n_states, int64_t n_features, int64_t n, const double *restrict weights,
                              const double *restrict features, int64_t stride, double *restrict out, int64_t apart) {
    int64_t start = 0;
    for (; start + 3 * LANES <= n; start += 3 * LANES) STRIPS(3);
    for (; start + LANES <= n; start += LANES) STRIPS(1);
    for (int64_t k = 0; k < n_states; k++)
        for (int64_t i = start; i < n; i++) {
            double sum = 0.0;
            for (int64_t p = 0; p < n_features; p++) sum += weights[k * n_features + p] * features[p * stride + i];
            out[k * apart + i] = sum;
        }
}

/* H rows of R against Q rows of F over one block of columns, added to out. */
#define CORNER(H, Q)                                                                                       \
    do {                                                                                                   \
        vec sum[H][Q];                                                                                     \
        for (int i = 0; i < H; i++)                                                                        \
            for (int j = 0; j < Q; j++) sum[i][j] = (vec){0};                                              \
        const double *r = responsibilities + k * apart, *f = features + p * stride;                        \
        int64_t t = 0;                                                                                     \
        for (; t + LANES <= n; t += LANES) {                                                               \
            vec right[Q];                                                                                  \
            for (int j = 0; j < Q; j++) right[j] = LOAD(f + j * stride + t);                               \
            for (int i = 0; i < H; i++) {                                                                  \
                const vec left = LOAD(r + i * apart + t);                                                  \
                for (int j = 0; j < Q; j++) sum[i][j] += left * right[j];                                  \
            }                                                                                              \
        }                                                                                                  \
        for (int i = 0; i < H; i++)                                                                        \
            for (int j = 0; j < Q; j++) {                                                                  \
                const vec s = sum[i][j];                                                                   \
                double total = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));          \
                for (int64_t u = t; u < n; u++) total += r[i * apart + u] * f[j * stride + u];             \
                out[(k + i) * n_features + p + j] += total;                                                \
            }                                                                                              \
        k += H;                                                                                            \
    } while (0)

#define CORNERS(Q)                                \
    do {                                          \
        int64_t k = 0;                            \
        while (k + 6 <= n_states) CORNER(6, Q);   \
        if (k + 4 <= n_states) CORNER(4, Q);      \
        if (k + 2 <= n_states) CORNER(2, Q);      \
        if (k < n_states) CORNER(1, Q);           \
    } while (0)

/* out (K, P) += responsibilities features' over one block of n columns, rows `apart` and `stride` from each other. */
static WIDE_TARGET void expect(int64_t n_states, int64_t n_features, int64_t n,
                               const double *restrict responsibilities, int64_t apart,
                               const double *restrict features, int64_t stride, double *restrict out) {
    int64_t p = 0;
    for (; p + 4 <= n_features; p += 4) CORNERS(4);
    for (; p < n_features; p++) CORNERS(1);
}

/* out (K, n) = weights (K, P) features (P, n). */
EXPORT WIDE_TARGET void latentem_weighted_sums(int64_t n_states, int64_t n_features, int64_t n,
                                               const double *restrict weights, const double *restrict features,
                                               double *restrict out) {
    weigh(n_states, n_features, n, weights, features, n, out, n);
}

/* out (K, P) = responsibilities (K, n) features (P, n)'. */
EXPORT WIDE_TARGET void latentem_expected_sums(int64_t n_states, int64_t n_features, int64_t n,
                                               const double *restrict responsibilities,
                                               const double *restrict features, double *restrict out) {
    memset(out, 0, (size_t)(n_states * n_features) * sizeof(double));
    for (int64_t start = 0; start < n; start += BLOCK)
        expect(n_states, n_features, n - start < BLOCK ? n - start : BLOCK, responsibilities + start, n,
               features + start, n, out);
}

/* The same two for the products of x (n, D), of which no more than a block are there at once: `work` (P, BLOCK). */
EXPORT WIDE_TARGET void latentem_weighted_products(int64_t n_states, int64_t n_columns, int64_t n,
                                                   const double *restrict weights, const double *restrict x,
                                                   const double *restrict centre, double *restrict work,
                                                   double *restrict out) {
    const int64_t n_features = n_columns * (n_columns + 1) / 2 + n_columns + 1;
    for (int64_t start = 0; start < n; start += TILE) {
        const int64_t length = n - start < TILE ? n - start : TILE;
        products_tile(length, n_columns, x + start * n_columns, centre, work, TILE);
        weigh(n_states, n_features, length, weights, work, TILE, out + start, n);
    }
}

EXPORT WIDE_TARGET void latentem_expected_products(int64_t n_states, int64_t n_columns, int64_t n,
                                                   const double *restrict responsibilities, const double *restrict x,
                                                   const double *restrict centre, double *restrict work,
                                                   double *restrict out) {
    const int64_t n_features = n_columns * (n_columns + 1) / 2 + n_columns + 1;
    memset(out, 0, (size_t)(n_states * n_features) * sizeof(double));
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t length = n - start < BLOCK ? n - start : BLOCK;
        products_tile(length, n_columns, x + start * n_columns, centre, work, BLOCK);
        expect(n_states, n_features, length, responsibilities + start, n, work, BLOCK, out);
    }
}

/* Eight columns of y against V vectors of them, over the rows of one block, added to the sums of their products. */
#define BESIDE(V)                                                                                      \
    do {                                                                                               \
        vec sum[LANES][V];                                                                             \
        for (int i = 0; i < LANES; i++)                                                                \
            for (int v = 0; v < V; v++) sum[i][v] = LOAD(sums + (a + i) * stride + b + LANES * v);   \
        for (int64_t r = 0; r < height; r++) {                                                         \
            const double *y = work + r * stride;                                                       \
            vec right[V];                                                                              \
            for (int v = 0; v < V; v++) right[v] = LOAD(y + b + LANES * v);                            \
            for (int i = 0; i < LANES; i++) {                                                          \
                const double left = y[a + i];                                                          \
                for (int v = 0; v < V; v++) sum[i][v] += left * right[v];                              \
            }                                                                                          \
        }                                                                                              \
        for (int i = 0; i < LANES; i++)                                                                \
            for (int v = 0; v < V; v++) STORE(sums + (a + i) * stride + b + LANES * v, sum[i][v]);   \
        b += V * LANES;                                                                                \
    } while (0)

/* A share [a, a + LANES) of `stride` of the numbers from x on, soon to be read: the products do not wait for them. */
INLINE void fetch_share(const double *x, int64_t n, int64_t a, int64_t stride) {
    for (int64_t i = n * a / stride; i < n * (a + LANES) / stride; i += LANES) __builtin_prefetch(x + i, 0, 1);
}

/* first (D,) = sum of w y and second (D, D) = sum of w y y' for y = x - centre, of rows x (n, D); weights may be NULL, for
 * ones.  work holds (MOMENT_ROWS + stride + 1) stride numbers, stride = D rounded up to a multiple of 8. */
EXPORT WIDE_TARGET void latentem_moments(int64_t n, int64_t n_columns, const double *restrict x,
                                         const double *restrict centre, const double *restrict weights,
                                         double *restrict work, double *restrict first, double *restrict second) {
    const int64_t stride = (n_columns + LANES - 1) / LANES * LANES;
    double *sums = work + MOMENT_ROWS * stride, *total = sums + stride * stride;
    double roots[MOMENT_ROWS];
    memset(work, 0, (size_t)((MOMENT_ROWS + stride + 1) * stride) * sizeof(double));
    for (int64_t start = 0; start < n; start += MOMENT_ROWS) {
        const int64_t height = n - start < MOMENT_ROWS ? n - start : MOMENT_ROWS, left = n - start - height;
        const int64_t ahead = (left < MOMENT_ROWS ? left : MOMENT_ROWS) * n_columns;
        for (int64_t r = 0; r < height; r++) {
            const double *row = x + (start + r) * n_columns;
            const double root = weights ? sqrt(weights[start + r]) : 1.0;
            double *y = work + r * stride;
            int64_t d = 0;
            for (; d + LANES <= n_columns; d += LANES) STORE(y + d, root * (LOAD(row + d) - LOAD(centre + d)));
            for (; d < n_columns; d++) y[d] = root * (row[d] - centre[d]);
            roots[r] = root;
        }
        for (int64_t d = 0; d < stride; d += LANES) {
            vec even = LOAD(total + d), odd = {0};
            int64_t r = 0;
            for (; r + 1 < height; r += 2) {
                even += roots[r] * LOAD(work + r * stride + d);
                odd += roots[r + 1] * LOAD(work + (r + 1) * stride + d);
            }
            if (r < height) even += roots[r] * LOAD(work + r * stride + d);
            STORE(total + d, even + odd);
        }
        for (int64_t a = 0; a < stride; a += LANES) {
            fetch_share(x + (start + height) * n_columns, ahead, a, stride);
            int64_t b = 0;
            while (b + 3 * LANES <= a + LANES) BESIDE(3);
            if (b + 2 * LANES <= a + LANES) BESIDE(2);
            if (b <= a) BESIDE(1);
        }
    }
    memcpy(first, total, (size_t)n_columns * sizeof(double));
    for (int64_t d = 0; d < n_columns; d++)
        for (int64_t e = 0; e <= d; e++) second[d * n_columns + e] = second[e * n_columns + d] = sums[d * stride + e];
}

#endif
