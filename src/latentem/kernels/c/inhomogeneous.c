/* Forward-backward where every step has a transition matrix of its own, scaled; m_t(j, k) = A_t(j, k) b_t(k) / exp(peak). */
#include "latentem.h"

enum { TILE = 32 };

/* What underflow takes is less than 1e-308 before scaling: 1e-168 after it, which beta below its bound leaves nothing. */
static const double SMALLEST_SCALE = 1e-140;
static const double LARGEST_BACKWARD = 1e140;

typedef struct {
    int64_t n_states, stride;     /* K, and rows in the whole batch */
    const double *log_transition; /* (K, K, stride), from the first row of the sequence */
    const double *log_density;    /* (K, stride), likewise */
} Steps;

typedef struct {
    double *forward; /* (T, K): alpha, each row adding to one */
    double *scales;  /* (T,) */
    double *peaks;   /* (T,) */
    double *moves;   /* (TILE, K, K): m */
    double *beta;    /* (TILE + 1, K) */
} Space;

/* m and peaks of the rows from `start` (at least 1) to `stop`. */
INLINE void moves_of(const Steps *steps, int64_t start, int64_t stop, Space *space) {
    const int64_t K = steps->n_states, width = stop - start;
    double peak[TILE], value[TILE];
    for (int64_t t = 0; t < width; t++) peak[t] = -INFINITY;
    for (int64_t i = 0; i < K * K; i++) {
        const double *step = steps->log_transition + i * steps->stride + start;
        const double *density = steps->log_density + (i % K) * steps->stride + start;
        for (int64_t t = 0; t < width; t++) {
            const double both = step[t] + density[t];
            peak[t] = both > peak[t] ? both : peak[t];
        }
    }
    for (int64_t i = 0; i < K * K; i++) {
        const double *step = steps->log_transition + i * steps->stride + start;
        const double *density = steps->log_density + (i % K) * steps->stride + start;
        for (int64_t t = 0; t < width; t++) value[t] = exp_nonpositive(step[t] + density[t] - peak[t]);
        for (int64_t t = 0; t < width; t++) space->moves[t * K * K + i] = value[t];
    }
    for (int64_t t = 0; t < width; t++) space->peaks[start + t] = peak[t];
}

INLINE int begin(const Steps *steps, Space *space) {
    const int64_t K = steps->n_states;
    double peak = -INFINITY, scale = 0.0;
    for (int64_t k = 0; k < K; k++)
        peak = steps->log_density[k * steps->stride] > peak ? steps->log_density[k * steps->stride] : peak;
    if (!(fabs(peak) <= DBL_MAX)) return 1;
    for (int64_t k = 0; k < K; k++) {
        space->forward[k] = exp_nonpositive(steps->log_density[k * steps->stride] - peak);
        scale += space->forward[k];
    }
    for (int64_t k = 0; k < K; k++) space->forward[k] /= scale;
    space->peaks[0] = peak;
    space->scales[0] = scale;
    return 0;
}

INLINE int go_forward(const Steps *steps, int64_t length, Space *space) {
    const int64_t K = steps->n_states;
    if (begin(steps, space)) return 1;
    for (int64_t start = 1; start < length; start += TILE) {
        const int64_t stop = start + TILE < length ? start + TILE : length;
        moves_of(steps, start, stop, space);
        for (int64_t t = start; t < stop; t++) {
            const double *move = space->moves + (t - start) * K * K, *before = space->forward + (t - 1) * K;
            double *alpha = space->forward + t * K, scale = 0.0;
            if (!(fabs(space->peaks[t]) <= DBL_MAX)) return 1;
            for (int64_t k = 0; k < K; k++) alpha[k] = 0.0;
            for (int64_t j = 0; j < K; j++)
                for (int64_t k = 0; k < K; k++) alpha[k] += before[j] * move[j * K + k];
            for (int64_t k = 0; k < K; k++) scale += alpha[k];
            if (!(scale >= SMALLEST_SCALE)) return 1;
            for (int64_t k = 0; k < K; k++) alpha[k] /= scale;
            space->scales[t] = scale;
        }
    }
    return 0;
}

/* beta of the rows from `stop - 2` down to `start - 1`, which comes first; that of row `stop - 1` is there. */
INLINE int go_back(int64_t K, int64_t start, int64_t stop, Space *space) {
    double *beta = space->beta + (stop - start) * K;
    for (int64_t t = stop - 1; t >= start; t--, beta -= K) {
        const double *move = space->moves + (t - start) * K * K;
        const double inverse = 1.0 / space->scales[t];
        double *earlier = beta - K, largest = 0.0;
        for (int64_t j = 0; j < K; j++) {
            double total = 0.0;
            for (int64_t k = 0; k < K; k++) total += move[j * K + k] * beta[k];
            earlier[j] = total * inverse;
            largest = earlier[j] > largest ? earlier[j] : largest;
        }
        if (!(largest <= LARGEST_BACKWARD)) return 1;
    }
    return 0;
}

INLINE int one_by_one(const Steps *steps, int64_t length, Space *space, double *posterior, double *pairs,
                      double *log_likelihood) {
    const int64_t K = steps->n_states, stride = steps->stride;
    double value[TILE];
    if (go_forward(steps, length, space)) return 1;
    const int64_t tiles = (length - 1 + TILE - 1) / TILE;
    double *last = space->beta;
    for (int64_t k = 0; k < K; k++) last[k] = 1.0;
    for (int64_t k = 0; k < K; k++) posterior[k * stride + length - 1] = space->forward[(length - 1) * K + k];
    for (int64_t tile = tiles - 1; tile >= 0; tile--) {
        const int64_t start = 1 + tile * TILE, stop = start + TILE < length ? start + TILE : length;
        memmove(space->beta + (stop - start) * K, space->beta, (size_t)K * sizeof(double));
        moves_of(steps, start, stop, space);
        if (go_back(K, start, stop, space)) return 1;
        for (int64_t i = 0; i < K * K; i++) {
            const int64_t j = i / K, k = i % K;
            for (int64_t t = start; t < stop; t++)
                value[t - start] = space->forward[(t - 1) * K + j] * space->moves[(t - start) * K * K + i] *
                                   space->beta[(t - start + 1) * K + k] / space->scales[t];
            memcpy(pairs + i * stride + start, value, (size_t)(stop - start) * sizeof(double));
        }
        for (int64_t k = 0; k < K; k++)
            for (int64_t t = start - 1; t < stop - 1; t++)
                posterior[k * stride + t] = space->forward[t * K + k] * space->beta[(t - start + 1) * K + k];
    }
    for (int64_t i = 0; i < K * K; i++) pairs[i * stride] = 0.0;
    Accumulator total = {0.0, 0.0};
    for (int64_t t = 0; t < length; t++) {
        accumulate(&total, space->peaks[t]);
        accumulate(&total, log(space->scales[t]));
    }
    *log_likelihood = total.sum + total.lost;
    return 0;
}

/* Doubles of work space that sequences of at most `longest` rows need. */
EXPORT int64_t latentem_inhomogeneous_work(int64_t n_states, int64_t longest) {
    return longest * (n_states + 2) + TILE * n_states * n_states + (TILE + 1) * n_states;
}

/* Posteriors (K, N), pairs of each row (K, K, N) and log-likelihoods (G,); log densities of first rows hold the logarithm of
 * the initial probability.
 *
 * A sequence in which underflow could matter, or that is impossible, is marked in `careful`; its results are then not to be
 * used.  Returns how many there are. */
EXPORT CLONES int64_t latentem_inhomogeneous(int64_t n_states, int64_t n_rows, int64_t n_groups, const int64_t *offsets,
                                             const double *log_transition, const double *log_density,
                                             double *posterior, double *pairs, double *log_likelihood,
                                             uint8_t *careful, double *work) {
    int64_t longest = 1, n_careful = 0;
    for (int64_t g = 0; g < n_groups; g++)
        longest = offsets[g + 1] - offsets[g] > longest ? offsets[g + 1] - offsets[g] : longest;
    Space space;
    space.forward = work;
    space.scales = space.forward + longest * n_states;
    space.peaks = space.scales + longest;
    space.moves = space.peaks + longest;
    space.beta = space.moves + TILE * n_states * n_states;
    for (int64_t g = 0; g < n_groups; g++) {
        const int64_t start = offsets[g], length = offsets[g + 1] - start;
        const Steps steps = {n_states, n_rows, log_transition + start, log_density + start};
        careful[g] =
            (uint8_t)one_by_one(&steps, length, &space, posterior + start, pairs + start, log_likelihood + g);
        n_careful += careful[g];
    }
    return n_careful;
}
