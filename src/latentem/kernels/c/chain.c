/* Recursions of Markov chains: see chain.h; here they are compiled for each vector unit, and exported. */
#include "chain.h"

#define VARIANT(name) name##_plain
#include "chain_rows.h"
#include "chain_kernels.h"
#include "viterbi_kernels.h"
#undef VARIANT

#ifdef VARIANTS
#pragma GCC push_options
#pragma GCC target("avx2")
#define VARIANT(name) name##_avx2
#include "chain_rows.h"
#include "chain_kernels.h"
#include "viterbi_kernels.h"
#undef VARIANT
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f")
#define LANES_OF_EIGHT 1
#define VARIANT(name) name##_avx512f
#include "chain_rows.h"
#include "chain_kernels.h"
#include "viterbi_kernels.h"
#undef VARIANT
#pragma GCC pop_options
#endif

/* Doubles of work space that sequences of at most `longest` need. */
EXPORT int64_t latentem_forward_backward_work(int64_t n_states, int64_t longest) {
    const int64_t width = (n_states + 7) / 8 * 8, rows = shorter(longest, BLOCK);
    return (2 * rows + 1) * width + 2 * rows + 1 + width * width + width + tile_work(width)
           + blocks_of(longest) * 2 * width;
}

/* Posteriors (K, N), pair sums (G, K, K) and log-likelihoods (G,) of the sequences [offsets[g], offsets[g + 1]).
 *
 * `initial` (width,), `matrix` and `transposed` (width, width) are padded with zeros; `transition` (K, K) is as the
 * caller has it.  `posterior` may be `log_density` itself unless `guarded`.  `status` (G,) tells which sequences are
 * impossible, and in which underflow could matter: those need the recursion in logarithms. */
EXPORT void latentem_forward_backward(int64_t n_states, int64_t n_rows, int64_t n_groups, int64_t guarded, const
                                      int64_t *offsets, const double *initial, const double *matrix, const double
                                      *transposed, const double *transition, const double *log_density, double
                                      *posterior, double *pairs, double *log_likelihood, uint8_t *status, double
                                      *space) {
    CHOSEN(forward_backward)(n_states, n_rows, n_groups, guarded, offsets, initial, matrix, transposed, transition,
        log_density, posterior, pairs, log_likelihood, status, space);
}

/* One block forward: b (n, width), alpha (n + 1, width) from the row before on, sums (n + 1,) likewise, and its share of
 * the log-likelihood.  `message` (width,) and `last` (width,), the normalized alpha before the block, are moved on. */
EXPORT int64_t latentem_chain_forward(int64_t n_states, int64_t n, int64_t guarded, const double *matrix, const double
                                      *log_density, double *message, double *last, double *b, double *alpha, double
                                      *sums, double *peaks, double *log_likelihood) {
    return CHOSEN(chain_forward)(n_states, n, guarded, matrix, log_density, message, last, b, alpha, sums, peaks,
        log_likelihood);
}

/* One block backward: b and beta (n, width), and the sum of the peaks.  `message` (width,) is moved on. */
EXPORT int64_t latentem_chain_backward(int64_t n_states, int64_t n, int64_t guarded, const double *transposed, const
                                       double *log_density, double *message, double *b, double *beta, double *peaks,
                                       double *ahead, double *sum_of_peaks) {
    return CHOSEN(chain_backward)(n_states, n, guarded, transposed, log_density, message, b, beta, peaks, ahead,
        sum_of_peaks);
}

/* Doubles of work space of the two below. */
EXPORT int64_t latentem_chain_tile_work(int64_t n_states) {
    const int64_t width = (n_states + 7) / 8 * 8;
    return tile_work(width) + (TILE + 1) * width;
}

/* The rest of a block that was run forward: posterior (K, n), and its pairs (width, width), not yet times A. */
EXPORT int64_t latentem_chain_backward_combine(int64_t n_states, int64_t n, int64_t guarded, const double *transposed,
                                               const double *b, const double *alpha, const double *sums, double
                                               *message, double *posterior, double *pairs, double *work) {
    return CHOSEN(chain_backward_combine)(n_states, n, guarded, transposed, b, alpha, sums, message, posterior, pairs,
        work);
}

/* The rest of a block that was run backward, likewise; sums (n + 1,) is work space. */
EXPORT int64_t latentem_chain_forward_combine(int64_t n_states, int64_t n, int64_t guarded, const double *matrix,
                                              const double *b, const double *beta, double *sums, double *message,
                                              double *last, double *posterior, double *pairs, double *log_likelihood,
                                              double *work) {
    return CHOSEN(chain_forward_combine)(n_states, n, guarded, matrix, b, beta, sums, message, last, posterior, pairs,
        log_likelihood, work);
}

/* p(z_t | x_1 ... x_{t-1}) and p(z_t | x_1 ... x_t), (K, N), and log p(x_t | x_1 ... x_{t-1}), (N,).
 *
 * `status` as above; a sequence that is not POSSIBLE is left unfinished.  Work space: 3 TILE width + 2 TILE
 * + 3 width. */
EXPORT void latentem_chain_filter(int64_t n_states, int64_t n_rows, int64_t n_groups, int64_t guarded, const int64_t
                                  *offsets, const double *initial, const double *matrix, const double *log_density,
                                  double *predicted, double *filtered, double *increments, uint8_t *status, double
                                  *space) {
    CHOSEN(chain_filter)(n_states, n_rows, n_groups, guarded, offsets, initial, matrix, log_density, predicted,
        filtered, increments, status, space);
}

/* Rows of one sequence or of a part of it, log densities (K, stride): `best` (width,), log initial probabilities before
 * the first row (-inf beyond the states), is the best log p(x, z) of paths into each state afterwards.  `origins` (n, K)
 * hold bytes for up to 256 states, else two bytes each; the first row of a sequence has none.  Returns whether a density
 * is NaN or +inf.  Work space: (TILE + 2) width. */
EXPORT int64_t latentem_viterbi_rows(int64_t n_states, int64_t stride, int64_t n, int64_t first, const double
                                     *transition, const double *log_density, double *best, void *origins,
                                     double *work) {
    for (int64_t k = 0; first && n > 0 && k < n_states; k++) {
        best[k] += log_density[k * stride];
        if (!(best[k] <= DBL_MAX)) return 1;
    }
    if (first) log_density += 1, n -= 1, origins = (char *)origins + n_states * (n_states > 256 ? 2 : 1);
    return CHOSEN(viterbi_rows)(n_states, stride, n, transition, log_density, best, origins, work);
}

#define TRACE(index)                                                          \
    do {                                                                      \
        const index *origin = (const index *)origins + (n - 1) * n_states;    \
        for (int64_t t = n - 1; t > 0; t--, origin -= n_states) {             \
            states[t] = state;                                                \
            state = origin[state];                                            \
        }                                                                     \
        states[0] = state;                                                    \
    } while (0)

/* The states (n,) of the best path of n > 0 rows read off from the end; returns log p(x, z).  Of a path that cannot be
 * nothing is written. */
EXPORT double latentem_viterbi_path(int64_t n_states, int64_t n, const double *best, const void *origins,
                                    int64_t *states) {
    int64_t state = 0;
    for (int64_t k = 1; k < n_states; k++) state = best[k] > best[state] ? k : state;
    const double log_joint = best[state];
    if (log_joint == -INFINITY) return log_joint;
    if (n_states > 256) TRACE(uint16_t);
    else TRACE(uint8_t);
    return log_joint;
}

/* States (N,) and log p(x, z) (G,) of whole sequences; `origins` (longest, K).  A log joint of -inf leaves its states
 * undefined.  Work space: (TILE + 3) width. */
EXPORT void latentem_viterbi(int64_t n_states, int64_t n_rows, int64_t n_groups, const int64_t *offsets, const double
                             *initial, const double *transition, const double *log_density, void *origins,
                             int64_t *states, double *log_joint, double *work) {
    const int64_t width = (n_states + 7) / 8 * 8;
    double *best = work + (TILE + 2) * width;
    for (int64_t g = 0; g < n_groups; g++) {
        const int64_t start = offsets[g], n = offsets[g + 1] - start;
        memcpy(best, initial, (size_t)width * sizeof(double));
        const int64_t undefined = latentem_viterbi_rows(n_states, n_rows, n, 1, transition, log_density + start, best,
            origins, work);
        log_joint[g] = undefined ? -INFINITY : latentem_viterbi_path(n_states, n, best, origins, states + start);
    }
}
