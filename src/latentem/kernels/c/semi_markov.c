/* Forward-backward of semi-Markov chains over a batch of sequences, scaled, on pairs (state, rows spent in it so far).
 *
 * From (k, d) the chain ends its stay with probability h_k(d) and moves on by A, else it goes on to (k, d + 1).  Rows of
 * alpha are kept at the seams of about sqrt(T) blocks and computed again, to the same bits, block by block on the way back. */
#include "latentem.h"

enum { LANES = 8 };

static const double SMALLEST_SCALE = 1e-140;
/* What underflow takes is less than 1e-308 before scaling: 1e-168 after it, which beta below this leaves nothing. */
static const double LARGEST_BACKWARD = 1e140;

typedef struct {
    int64_t n_states, longest; /* K, D */
    const double *initial;     /* (K,) */
    const double *transition;  /* (K, K), from row to column; zeros on the diagonal */
    const double *ending;      /* (K, D): h */
    const double *staying;     /* (K, D): 1 - h */
} Stays;

typedef struct {
    double *emission; /* (T, K): exp(log density - peak) */
    double *scales;   /* (T,) */
    double *seams;    /* (blocks, K, D): alpha, not yet scaled, in the first row of each block */
    double *block;    /* (length, K, D) */
    double *entering; /* (K,): mass that enters; on the way back, that of the next row */
    double *beta;     /* (K, D) */
} Room;

INLINE double total_of(const double *values, int64_t n) {
    double lane[LANES] = {0.0}, total = 0.0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int64_t l = 0; l < LANES; l++) lane[l] += values[i + l];
    for (; i < n; i++) lane[i % LANES] += values[i];
    for (int64_t l = 0; l < LANES; l++) total += lane[l];
    return total;
}

INLINE double product_of(const double *a, const double *b, int64_t n) {
    double lane[LANES] = {0.0}, total = 0.0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int64_t l = 0; l < LANES; l++) lane[l] += a[i + l] * b[i + l];
    for (; i < n; i++) lane[i % LANES] += a[i] * b[i];
    for (int64_t l = 0; l < LANES; l++) total += lane[l];
    return total;
}

/* Fill `emission`; return the sum of the peaks, not finite where some time has no finite peak. */
INLINE double peaks_and_emissions(int64_t K, const double *log_density, int64_t stride, int64_t length, Room *room) {
    Accumulator total = {0.0, 0.0};
    for (int64_t t = 0; t < length; t++) {
        double peak = log_density[t];
        for (int64_t k = 1; k < K; k++) peak = log_density[k * stride + t] > peak ? log_density[k * stride + t] : peak;
        for (int64_t k = 0; k < K; k++) room->emission[t * K + k] = exp_nonpositive(log_density[k * stride + t] - peak);
        accumulate(&total, peak);
    }
    return total.sum + total.lost;
}

INLINE void first_row(const Stays *stays, const double *emission, double *row) {
    memset(row, 0, (size_t)(stays->n_states * stays->longest) * sizeof(double));
    for (int64_t k = 0; k < stays->n_states; k++) row[k * stays->longest] = stays->initial[k] * emission[k];
}

/* alpha of the next row from that of the one before, whose entries add to `scale`. */
INLINE void next_row(const Stays *stays, const double *before, double scale, const double *emission, Room *room,
                     double *row) {
    const int64_t K = stays->n_states, D = stays->longest;
    const double inverse = 1.0 / scale;
    for (int64_t k = 0; k < K; k++) room->entering[k] = 0.0;
    for (int64_t j = 0; j < K; j++) {
        const double mass = product_of(before + j * D, stays->ending + j * D, D);
        for (int64_t k = 0; k < K; k++) room->entering[k] += mass * stays->transition[j * K + k];
    }
    for (int64_t k = 0; k < K; k++) {
        const double factor = emission[k] * inverse;
        const double *from = before + k * D, *stay = stays->staying + k * D;
        double *to = row + k * D;
        to[0] = room->entering[k] * factor;
        for (int64_t d = 1; d < D; d++) to[d] = from[d - 1] * stay[d - 1] * factor;
    }
}

INLINE int forward_over(const Stays *stays, int64_t length, int64_t step, Room *room) {
    const int64_t K = stays->n_states, size = K * stays->longest;
    const double *before = room->seams;
    for (int64_t t = 0; t < length; t++) {
        double *row = t % step ? room->block + (t % 2) * size : room->seams + t / step * size;
        if (t == 0)
            first_row(stays, room->emission, row);
        else
            next_row(stays, before, room->scales[t - 1], room->emission + t * K, room, row);
        room->scales[t] = total_of(row, size);
        if (!(room->scales[t] >= SMALLEST_SCALE)) return 1;
        before = row;
    }
    return 0;
}

/* One step back: what row t adds to the sums, and beta of row t from that of row t + 1; for the last row ahead is 0. */
INLINE int back_over(const Stays *stays, int64_t t, int ahead, const double *alpha, Room *room, double *posterior,
                     int64_t stride, double *pairs, double *ended) {
    const int64_t K = stays->n_states, D = stays->longest;
    const double inverse = 1.0 / room->scales[t];
    double *beta = room->beta;
    if (ahead) {
        const double *emission = room->emission + (t + 1) * K;
        const double next = 1.0 / room->scales[t + 1];
        for (int64_t k = 0; k < K; k++) {
            const double factor = emission[k] * next;
            for (int64_t d = 0; d < D; d++) beta[k * D + d] *= factor;
            room->entering[k] = beta[k * D];
        }
        double largest = 0.0;
        for (int64_t j = 0; j < K; j++) {
            const double *end = stays->ending + j * D, *stay = stays->staying + j * D, *own = alpha + j * D;
            double *own_beta = beta + j * D;
            double onward = 0.0;
            for (int64_t k = 0; k < K; k++) onward += stays->transition[j * K + k] * room->entering[k];
            const double mass = product_of(own, end, D) * inverse, weight = onward * inverse;
            for (int64_t k = 0; k < K; k++) pairs[j * K + k] += mass * stays->transition[j * K + k] * room->entering[k];
            for (int64_t d = 0; d + 1 < D; d++) own_beta[d] = end[d] * onward + stay[d] * own_beta[d + 1];
            own_beta[D - 1] = end[D - 1] * onward;
            for (int64_t d = 0; d < D; d++) ended[j * D + d] += own[d] * end[d] * weight;
            for (int64_t d = 0; d < D; d++) largest = own_beta[d] > largest ? own_beta[d] : largest;
        }
        if (!(largest <= LARGEST_BACKWARD)) return 1;
    }
    for (int64_t k = 0; k < K; k++) posterior[k * stride] = product_of(alpha + k * D, beta + k * D, D) * inverse;
    return 0;
}

INLINE int one_stay_sequence(const Stays *stays, const double *log_density, int64_t stride, int64_t length, Room *room,
                             double *posterior, double *pairs, double *ended, double *censored,
                             double *log_likelihood) {
    const int64_t K = stays->n_states, size = K * stays->longest;
    const double peaks = peaks_and_emissions(K, log_density, stride, length, room);
    if (!(fabs(peaks) <= DBL_MAX)) return 1;
    int64_t step = 1;
    while (step * step < length) step++;
    if (forward_over(stays, length, step, room)) return 1;
    for (int64_t i = 0; i < size; i++) room->beta[i] = 1.0;
    for (int64_t b = (length - 1) / step; b >= 0; b--) {
        const int64_t start = b * step, stop = start + step < length ? start + step : length;
        memcpy(room->block, room->seams + b * size, (size_t)size * sizeof(double));
        for (int64_t t = start + 1; t < stop; t++)
            next_row(stays, room->block + (t - 1 - start) * size, room->scales[t - 1], room->emission + t * K, room,
                     room->block + (t - start) * size);
        for (int64_t t = stop - 1; t >= start; t--) {
            const double *alpha = room->block + (t - start) * size;
            if (t == length - 1)
                for (int64_t i = 0; i < size; i++) censored[i] = alpha[i] / room->scales[t];
            if (back_over(stays, t, t < length - 1, alpha, room, posterior + t, stride, pairs, ended)) return 1;
        }
    }
    Accumulator total = {peaks, 0.0};
    for (int64_t t = 0; t < length; t++) accumulate(&total, log(room->scales[t]));
    *log_likelihood = total.sum + total.lost;
    return 0;
}

INLINE int64_t rows_in_a_block(int64_t longest_sequence) {
    int64_t step = 1;
    while (step * step < longest_sequence) step++;
    return step < 2 ? 2 : step;
}

/* Doubles of work space that sequences of at most `longest_sequence` rows need. */
EXPORT int64_t latentem_semi_markov_work(int64_t n_states, int64_t longest, int64_t longest_sequence) {
    const int64_t step = rows_in_a_block(longest_sequence);
    return longest_sequence * (n_states + 1) + (2 * step + 2) * n_states * longest + 2 * n_states;
}

/* Posteriors (K, N), pair sums (G, K, K), expected stays that ended (G, K, D) and that the end of the sequence cut off
 * (G, K, D), and log-likelihoods (G,).
 *
 * A sequence in which underflow could matter, or that is impossible, is marked in `careful`; its results are then not to
 * be used.  `posterior` must not be `log_density`.  Returns how many there are. */
EXPORT CLONES int64_t latentem_semi_markov(int64_t n_states, int64_t longest, int64_t n_rows, int64_t n_groups,
                                           const int64_t *offsets, const double *initial, const double *transition,
                                           const double *ending, const double *staying, const double *log_density,
                                           double *posterior, double *pairs, double *ended, double *censored,
                                           double *log_likelihood, uint8_t *careful, double *space) {
    const int64_t size = n_states * longest;
    int64_t longest_sequence = 1, n_careful = 0;
    for (int64_t g = 0; g < n_groups; g++)
        longest_sequence = offsets[g + 1] - offsets[g] > longest_sequence ? offsets[g + 1] - offsets[g] : longest_sequence;
    const int64_t step = rows_in_a_block(longest_sequence);
    const Stays stays = {n_states, longest, initial, transition, ending, staying};
    Room room;
    room.emission = space;
    room.scales = room.emission + longest_sequence * n_states;
    room.seams = room.scales + longest_sequence;
    room.block = room.seams + (step + 1) * size;
    room.beta = room.block + step * size;
    room.entering = room.beta + size;
    for (int64_t g = 0; g < n_groups; g++) {
        const int64_t start = offsets[g], length = offsets[g + 1] - start;
        memset(pairs + g * n_states * n_states, 0, (size_t)(n_states * n_states) * sizeof(double));
        memset(ended + g * size, 0, (size_t)size * sizeof(double));
        careful[g] = (uint8_t)one_stay_sequence(&stays, log_density + start, n_rows, length, &room, posterior + start,
                                                pairs + g * n_states * n_states, ended + g * size, censored + g * size,
                                                log_likelihood + g);
        n_careful += careful[g];
    }
    return n_careful;
}

/* Work space that `latentem_semi_markov_decode` needs: whole numbers, and doubles. */
EXPORT int64_t latentem_semi_markov_decode_indices(int64_t n_states, int64_t longest_sequence) {
    return 2 * n_states * longest_sequence;
}

EXPORT int64_t latentem_semi_markov_decode_work(int64_t n_states, int64_t longest) {
    return 2 * n_states * longest + 2 * n_states;
}

/* The most probable path of one sequence, from logarithms; -1 throughout where none is possible. */
INLINE double best_path(const Stays *logs, const double *log_density, int64_t stride, int64_t length, int64_t *path,
                        int64_t *left_after, int64_t *came_from, double *space) {
    const int64_t K = logs->n_states, D = logs->longest;
    double *best = space, *next = best + K * D, *leaving = next + K * D;
    for (int64_t i = 0; i < K * D; i++) best[i] = -INFINITY;
    for (int64_t k = 0; k < K; k++) best[k * D] = logs->initial[k] + log_density[k * stride];
    for (int64_t t = 1; t < length; t++) {
        for (int64_t k = 0; k < K; k++) {
            const double *own = best + k * D, *end = logs->ending + k * D;
            double most = -INFINITY;
            int64_t place = 0;
            for (int64_t d = 0; d < D; d++)
                if (own[d] + end[d] > most) {
                    most = own[d] + end[d];
                    place = d;
                }
            leaving[k] = most;
            left_after[t * K + k] = place;
        }
        for (int64_t k = 0; k < K; k++) {
            const double density = log_density[k * stride + t], *own = best + k * D, *stay = logs->staying + k * D;
            double most = -INFINITY, *to = next + k * D;
            int64_t place = 0;
            for (int64_t j = 0; j < K; j++)
                if (leaving[j] + logs->transition[j * K + k] > most) {
                    most = leaving[j] + logs->transition[j * K + k];
                    place = j;
                }
            came_from[t * K + k] = place;
            to[0] = most + density;
            for (int64_t d = 1; d < D; d++) to[d] = own[d - 1] + stay[d - 1] + density;
        }
        double *swap = best;
        best = next;
        next = swap;
    }
    double total = -INFINITY;
    int64_t last = 0;
    for (int64_t i = 0; i < K * D; i++)
        if (best[i] > total) {
            total = best[i];
            last = i;
        }
    if (!(total > -INFINITY)) {
        for (int64_t t = 0; t < length; t++) path[t] = -1;
        return -INFINITY;
    }
    int64_t state = last / D, spent = last % D, t = length - 1;
    for (;;) {
        for (int64_t i = t - spent; i <= t; i++) path[i] = state;
        t -= spent;
        if (t == 0) return total;
        const int64_t before = came_from[t * K + state];
        spent = left_after[t * K + before];
        state = before;
        t--;
    }
}

/* Paths (N,) and log p(x, z) (G,) of all sequences; initial, transition, ending and staying are logarithms here. */
EXPORT CLONES void latentem_semi_markov_decode(int64_t n_states, int64_t longest, int64_t n_rows, int64_t n_groups,
                                               const int64_t *offsets, const double *initial,
                                               const double *transition, const double *ending, const double *staying,
                                               const double *log_density, int64_t *path, double *log_joint,
                                               int64_t *indices, double *space) {
    int64_t longest_sequence = 1;
    for (int64_t g = 0; g < n_groups; g++)
        longest_sequence = offsets[g + 1] - offsets[g] > longest_sequence ? offsets[g + 1] - offsets[g] : longest_sequence;
    const Stays logs = {n_states, longest, initial, transition, ending, staying};
    for (int64_t g = 0; g < n_groups; g++) {
        const int64_t start = offsets[g], length = offsets[g + 1] - start;
        log_joint[g] = best_path(&logs, log_density + start, n_rows, length, path + start, indices,
                                 indices + n_states * longest_sequence, space);
    }
}
