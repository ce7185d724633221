/* Forward-backward over a batch of sequences, scaled (Rabiner 1989, section V.A). */
#include "latentem.h"

enum { TILE = 64 };

/* Below these a product may have lost digits to underflow. */
static const double SMALLEST_SCALE = 1e-140;
static const double SMALLEST_MASS = 1e-290;

typedef struct {
    int64_t n_states;
    const double *initial;
    const double *transition; /* (K, K), from row to column */
    double *transposed;       /* (K, K) */
    int guarded;              /* whether some transition is so rare that underflow could decide a posterior */
} Chain;

typedef struct {
    double *emission; /* (T, K): exp(log density - peak) */
    double *forward;  /* (T, K): alpha, each row adding to one */
    double *scales;   /* (T,): p(x_t | x_1 ... x_{t-1}) / exp(peak) */
    double *ahead;    /* (K,): b_{t+1} beta_{t+1} / c_{t+1} */
    double *backward; /* (K,): beta_t */
} Work;

/* Fill `emission`; return the sum of the peaks, not finite where some time has no finite peak. */
INLINE double emissions(const Chain *chain, const double *log_density, int64_t stride, int64_t length, Work *work) {
    const int64_t K = chain->n_states;
    Accumulator total = {0.0, 0.0};
    for (int64_t start = 0; start < length; start += TILE) {
        const int64_t width = length - start < TILE ? length - start : TILE;
        double peak[TILE], value[TILE];
        for (int64_t t = 0; t < width; t++) peak[t] = log_density[start + t];
        for (int64_t k = 1; k < K; k++) {
            const double *row = log_density + k * stride + start;
            for (int64_t t = 0; t < width; t++) peak[t] = row[t] > peak[t] ? row[t] : peak[t];
        }
        for (int64_t k = 0; k < K; k++) {
            const double *row = log_density + k * stride + start;
            for (int64_t t = 0; t < width; t++) value[t] = exp_nonpositive(row[t] - peak[t]);
            for (int64_t t = 0; t < width; t++) work->emission[(start + t) * K + k] = value[t];
        }
        for (int64_t t = 0; t < width; t++) accumulate(&total, peak[t]);
    }
    return total.sum + total.lost;
}

/* Whether a state that the model allows has a mass too small to be represented. */
INLINE int lost_mass(const double *predicted, const double *joint, const double *log_density, int64_t stride,
                     int64_t K) {
    for (int64_t k = 0; k < K; k++)
        if (joint[k] < SMALLEST_MASS && predicted[k] > 0.0 && log_density[k * stride] > -INFINITY) return 1;
    return 0;
}

INLINE int forward_pass(const Chain *chain, const double *log_density, int64_t stride, int64_t length, Work *work) {
    const int64_t K = chain->n_states;
    double *predicted = work->ahead;
    memcpy(predicted, chain->initial, (size_t)K * sizeof(double));
    for (int64_t t = 0; t < length; t++) {
        const double *emission = work->emission + t * K;
        double *alpha = work->forward + t * K;
        double scale = 0.0;
        for (int64_t k = 0; k < K; k++) alpha[k] = predicted[k] * emission[k];
        for (int64_t k = 0; k < K; k++) scale += alpha[k];
        if (!(scale >= SMALLEST_SCALE)) return 1;
        if (chain->guarded && lost_mass(predicted, alpha, log_density + t, stride, K)) return 1;
        work->scales[t] = scale;
        const double inverse = 1.0 / scale;
        for (int64_t k = 0; k < K; k++) alpha[k] *= inverse;
        for (int64_t k = 0; k < K; k++) predicted[k] = 0.0;
        for (int64_t j = 0; j < K; j++) {
            const double *row = chain->transition + j * K;
            const double mass = alpha[j];
            for (int64_t k = 0; k < K; k++) predicted[k] += mass * row[k];
        }
    }
    return 0;
}

/* beta from the end; gamma = alpha beta takes the place of alpha; pairs gather alpha_t(j) b beta(k) / c. */
INLINE void backward_pass(const Chain *chain, int64_t length, Work *work, double *pairs) {
    const int64_t K = chain->n_states;
    double *beta = work->backward, *ahead = work->ahead;
    for (int64_t k = 0; k < K; k++) beta[k] = 1.0;
    for (int64_t t = length - 1; t > 0; t--) {
        const double *emission = work->emission + t * K;
        double *gamma = work->forward + t * K;
        const double *before = work->forward + (t - 1) * K;
        const double inverse = 1.0 / work->scales[t];
        for (int64_t k = 0; k < K; k++) {
            gamma[k] *= beta[k];
            ahead[k] = emission[k] * beta[k] * inverse;
        }
        for (int64_t j = 0; j < K; j++) {
            double *row = pairs + j * K;
            const double mass = before[j];
            for (int64_t k = 0; k < K; k++) row[k] += mass * ahead[k];
        }
        for (int64_t j = 0; j < K; j++) beta[j] = 0.0;
        for (int64_t k = 0; k < K; k++) {
            const double *column = chain->transposed + k * K;
            const double value = ahead[k];
            for (int64_t j = 0; j < K; j++) beta[j] += column[j] * value;
        }
        /* What cannot have been reached weighs nothing, however well it would have gone on. */
        if (chain->guarded)
            for (int64_t j = 0; j < K; j++) beta[j] = before[j] > 0.0 ? beta[j] : 0.0;
    }
    for (int64_t k = 0; k < K; k++) work->forward[k] *= beta[k];
    for (int64_t i = 0; i < K * K; i++) pairs[i] *= chain->transition[i];
}

/* Sum of logarithms by products: a logarithm only when a product is about to underflow. */
INLINE double sum_of_logs(const double *values, int64_t length) {
    Accumulator total = {0.0, 0.0};
    double product = 1.0;
    for (int64_t t = 0; t < length; t++) {
        product *= values[t];
        if (product < SMALLEST_SCALE) {
            accumulate(&total, log(product));
            product = 1.0;
        }
    }
    accumulate(&total, log(product));
    return total.sum + total.lost;
}

INLINE int one_sequence(const Chain *chain, const double *log_density, int64_t stride, int64_t length, Work *work,
                        double *posterior, double *pairs, double *log_likelihood) {
    const int64_t K = chain->n_states;
    const double peaks = emissions(chain, log_density, stride, length, work);
    if (!(fabs(peaks) <= DBL_MAX)) return 1;
    if (forward_pass(chain, log_density, stride, length, work)) return 1;
    memset(pairs, 0, (size_t)(K * K) * sizeof(double));
    backward_pass(chain, length, work, pairs);
    for (int64_t k = 0; k < K; k++)
        for (int64_t t = 0; t < length; t++) posterior[k * stride + t] = work->forward[t * K + k];
    *log_likelihood = sum_of_logs(work->scales, length) + peaks;
    return 0;
}

/* Doubles of work space that sequences of at most `longest` need. */
EXPORT int64_t latentem_forward_backward_work(int64_t n_states, int64_t longest) {
    return longest * (2 * n_states + 1) + 2 * n_states + n_states * n_states;
}

/* Posteriors (K, N), pair sums (G, K, K) and log-likelihoods (G,) of the sequences [offsets[g], offsets[g + 1]).
 *
 * `posterior` may be `log_density` itself.  A sequence in which underflow could matter, or that is impossible, is marked
 * in `careful` and left as it was: it needs the recursion in logarithms.  Returns how many there are. */
EXPORT CLONES int64_t latentem_forward_backward(int64_t n_states, int64_t n_rows, int64_t n_groups,
                                                const int64_t *offsets, const double *initial,
                                                const double *transition, const double *log_density,
                                                double *posterior, double *pairs, double *log_likelihood,
                                                uint8_t *careful, double *space) {
    const int64_t K = n_states;
    int64_t longest = 0, n_careful = 0;
    for (int64_t g = 0; g < n_groups; g++)
        longest = offsets[g + 1] - offsets[g] > longest ? offsets[g + 1] - offsets[g] : longest;
    Work work;
    work.emission = space;
    work.forward = work.emission + longest * K;
    work.scales = work.forward + longest * K;
    work.ahead = work.scales + longest;
    work.backward = work.ahead + K;
    Chain chain = {K, initial, transition, work.backward + K, 0};
    for (int64_t j = 0; j < K; j++)
        for (int64_t k = 0; k < K; k++) {
            chain.transposed[k * K + j] = transition[j * K + k];
            chain.guarded |= !(transition[j * K + k] >= SMALLEST_SCALE);
        }
    for (int64_t g = 0; g < n_groups; g++) {
        const int64_t start = offsets[g], length = offsets[g + 1] - start;
        careful[g] = (uint8_t)one_sequence(&chain, log_density + start, n_rows, length, &work, posterior + start,
                                           pairs + g * K * K, log_likelihood + g);
        n_careful += careful[g];
    }
    return n_careful;
}
