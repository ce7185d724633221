/* Kalman filter and smoother over a batch of sequences, on square roots of covariances.
 *
 * z_1 = start + W d + S e with d flat (a diffuse start) and e standard normal; z_t = A z_{t-1} + shift_t + B n, where
 * B B' = Q; observations are independent numbers y = h'z + deviation * noise (kernels/observations.py makes any of that
 * form).  z - predicted = [W S] X in coordinates X = (d, e) of the step.  Observations and the time update are orthogonal
 * changes of coordinates (a number pins one flat direction down, or shrinks e along one direction; the time update is a
 * triangular reduction), and X = G v + F X' + C noise gives the coordinates of a step from those of the next.  No matrix
 * is inverted, covariances are squares, and F shrinks: neither symmetry nor definiteness can be lost, whatever is singular.
 * Where covariances stop changing, their record is used again.
 *
 * docs/formulas.md has the recursions; kernels/kalman_reference.py is the same in NumPy. */
#include "latentem.h"

static const double LOG_2_PI = 1.8378770664093453;
static const double KNOWN = 1e-12;   /* a deviation below this share of the one at the start of the step is none */
static const double PINNED = 1e-10;  /* a coefficient of a flat direction below this share is none */
static const double SETTLED = 2e-15; /* change of a covariance, in units of its standard deviations */
static const double AGREES = 1e-9;   /* an exact number may be off by this share */

enum { UNDETERMINED = 1, IMPOSSIBLE = 2 };

typedef struct {
    int64_t q, m, k; /* states, most numbers of a step, flat directions at the start */
    const int64_t *arrival;
    const double *transition, *noise;
    const double *shift;
    int64_t shift_stride;
    const int64_t *pattern, *counts;
    const double *rows, *deviations, *values;
    const double *start, *start_root, *start_flat;
} System;

/* With D = q + k and E = q + k, the rows and columns that records have room for. */
typedef struct {
    double *predicted, *filtered;           /* (n, q) */
    int64_t *record;                        /* (n,): whose covariances a step has */
    double *predicted_root, *filtered_root; /* (n, q, q), filled where record[t] == t */
    double *innovations;                    /* (n, m) */
    double *shape;                          /* (n, q, D): [W S] */
    double *ways, *back, *rest;             /* (n, D, m), (n, D, D), (n, D, E): G, F, C; F has columns for e, then d */
    double *noise_back, *noise_rest;        /* (n, q, q), (n, q, E): the disturbance from X' and noise */
    int64_t *n_flat;                        /* (n, 2): flat directions before and after the numbers of a step */
    double *mean, *disturbance;             /* (n, q) */
    int64_t *kept;                          /* (n,): whose smoothed covariances a step has */
    double *covariance, *noise_covariance, *cross; /* (n, q, q), filled where kept[t] == t */
} Results;

typedef struct {
    double *next, *flat_next;           /* (q, q), (q, k) */
    double *before, *after;             /* (q, q): predicted covariances of a step and of the next */
    double *gain, *inverse, *known;     /* (m, q), (m,), (m,) */
    double *across;                     /* (m, m): h_i' gain_j, what an innovation takes from the later ones */
    double *tall;                       /* (3 q + k, 2 q + 2 k): columns e, the next noise or one of a number, d, spent */
    double *vector, *along, *share;     /* (3 q + 2 k,) each */
    double *ahead, *ahead_next, *root;  /* (D,), (D,), (D, D) */
    double *wide, *seen, *noise;        /* (D, D + E), (q, D + E), (q, D + E) */
    double log_determinant;
    int64_t k_before, k_now, n_normal;
} Work;

INLINE double dot(const double *x, const double *y, int64_t n) {
    double total = 0.0;
    for (int64_t i = 0; i < n; i++) total += x[i] * y[i];
    return total;
}

/* The vector of the reflection that leaves one number of x, x[0] >= 0; returns its scale, 0 if nothing is to be done.
 * The sign matters: where covariances have settled, so must have their roots. */
INLINE double reflection(double *x, int64_t n, double *vector) {
    const double head = x[0], tail = dot(x + 1, x + 1, n - 1);
    if (tail < DBL_MIN && head >= 0.0) {
        memset(x + 1, 0, (size_t)(n - 1) * sizeof(double));
        return 0.0;
    }
    const double length = sqrt(head * head + tail), lead = head > 0.0 ? -tail / (head + length) : head - length;
    memcpy(vector, x, (size_t)n * sizeof(double));
    vector[0] = lead;
    memset(x, 0, (size_t)n * sizeof(double));
    x[0] = length;
    return -1.0 / (length * lead);
}

INLINE void apply_reflection(double *rows, int64_t stride, int64_t n_rows, const double *vector, int64_t n, double scale) {
    for (int64_t r = 0; r < n_rows; r++) {
        double *y = rows + r * stride;
        const double share = dot(y, vector, n) * scale;
        for (int64_t j = 0; j < n; j++) y[j] -= share * vector[j];
    }
}

/* Reflect columns so that the first q rows are lower triangular; the rows below come along. */
INLINE void triangular(double *wide, int64_t stride, int64_t q, int64_t n_rows, int64_t columns, double *vector) {
    for (int64_t j = 0; j < q; j++) {
        double *row = wide + j * stride + j;
        const double scale = reflection(row, columns - j, vector);
        if (scale > 0.0) apply_reflection(row + stride, stride, n_rows - j - 1, vector, columns - j, scale);
    }
}

INLINE void square(const double *root, int64_t stride, int64_t columns, int64_t q, double *covariance) {
    for (int64_t i = 0; i < q; i++)
        for (int64_t j = 0; j <= i; j++)
            covariance[i * q + j] = covariance[j * q + i] = dot(root + i * stride, root + j * stride, columns);
}

INLINE int is_same(const double *one, const double *other, int64_t q) {
    int same = 1;
    for (int64_t i = 0; i < q; i++)
        for (int64_t j = 0; j <= i; j++) {
            const double unit = sqrt(one[i * q + i]) * sqrt(one[j * q + j]);
            same &= fabs(one[i * q + j] - other[i * q + j]) <= SETTLED * unit;
        }
    return same;
}

/* result (rows, c) = left (rows, inner) right (inner, c) */
INLINE void multiply(const double *left, int64_t left_stride, const double *right, int64_t right_stride, int64_t n_rows,
                     int64_t inner, int64_t columns, double *result, int64_t stride) {
    for (int64_t i = 0; i < n_rows; i++) {
        double *row = result + i * stride;
        memset(row, 0, (size_t)columns * sizeof(double));
        for (int64_t r = 0; r < inner; r++) {
            const double value = left[i * left_stride + r];
            for (int64_t c = 0; c < columns; c++) row[c] += value * right[r * right_stride + c];
        }
    }
}

/* -- forward ---------------------------------------------------------------------------------------------------- */

/* Solve y = h'z + noise for a flat direction, if h sees one: turn them so that h'W = (w, 0, ...), and put
 * d_1 = (y - h'z - noise) / w in.  `share` becomes what y adds to each row. */
INLINE int pin(const System *s, Work *w, const double *h, double deviation, int64_t n_rows) {
    const int64_t q = s->q, stride = 2 * q + 2 * s->k, k = w->k_now, first = 2 * q + s->k - k;
    double *along = w->along, scale = 0.0;
    memset(along, 0, (size_t)k * sizeof(double));
    for (int64_t i = 0; i < q; i++) {
        const double *flat = w->tall + i * stride + first;
        double largest = 0.0;
        for (int64_t c = 0; c < k; c++) {
            along[c] += h[i] * flat[c];
            largest = fabs(flat[c]) > largest ? fabs(flat[c]) : largest;
        }
        scale += fabs(h[i]) * largest;
    }
    if (!(sqrt(dot(along, along, k)) > PINNED * scale)) return 0;
    const double turn = reflection(along, k, w->vector), pivot = along[0];
    if (turn > 0.0) apply_reflection(w->tall + first, stride, n_rows, w->vector, k, turn);
    multiply(h, q, w->tall, stride, 1, q, q, along, q);
    for (int64_t r = 0; r < n_rows; r++) {
        double *row = w->tall + r * stride;
        const double share = row[first] / pivot;
        for (int64_t j = 0; j < q; j++) row[j] -= share * along[j];
        row[q] = share * deviation;
        row[first] = 0.0;
        w->share[r] = share;
    }
    triangular(w->tall, stride, q, n_rows, q + 1, w->vector);
    for (int64_t r = 0; r < n_rows; r++) {
        double *row = w->tall + r * stride;
        row[2 * q + s->k + w->k_before - k] = row[q];
        row[q] = 0.0;
    }
    w->k_now = k - 1;
    w->log_determinant += 2.0 * log(fabs(pivot));
    return 1;
}

/* Take one number in; `share` becomes what its innovation adds to each row. */
INLINE void observe(const System *s, Work *w, int64_t pattern, int64_t i, int64_t n_rows) {
    const int64_t q = s->q, stride = 2 * q + 2 * s->k;
    const double *h = s->rows + (pattern * s->m + i) * q;
    const double deviation = s->deviations[pattern * s->m + i];
    w->inverse[i] = 0.0;
    w->known[i] = -1.0;
    if (w->k_now && pin(s, w, h, deviation, n_rows)) return;
    double *hs = w->along, before = 0.0;
    for (int64_t j = 0; j < q; j++) before += h[j] * h[j] * w->before[j * q + j];
    multiply(h, q, w->tall, stride, 1, q, q, hs, q);
    const double signal = dot(hs, hs, q), variance = deviation * deviation + signal;
    if (variance == 0.0 || (deviation == 0.0 && signal <= KNOWN * KNOWN * before)) {
        memset(w->share, 0, (size_t)n_rows * sizeof(double));
        w->known[i] = sqrt(before);
        return;
    }
    const double scale = 1.0 / (variance + deviation * sqrt(variance));
    for (int64_t r = 0; r < n_rows; r++) {
        double *row = w->tall + r * stride;
        const double toward = dot(row, hs, q);
        for (int64_t j = 0; j < q; j++) row[j] -= toward * scale * hs[j];
        w->share[r] = toward / variance;
    }
    w->inverse[i] = 1.0 / variance;
    w->log_determinant += log(variance);
    w->n_normal++;
}

/* z on X, and X on itself: the coordinates that the step begins with. */
INLINE void begin_step(const System *s, Work *w, int64_t n_rows) {
    const int64_t q = s->q, k = w->k_now, stride = 2 * q + 2 * s->k, first = 2 * q + s->k - k;
    memset(w->tall, 0, (size_t)(n_rows * stride) * sizeof(double));
    for (int64_t i = 0; i < q; i++) {
        memcpy(w->tall + i * stride, w->next + i * q, (size_t)q * sizeof(double));
        memcpy(w->tall + i * stride + first, w->flat_next + i * k, (size_t)k * sizeof(double));
    }
    w->log_determinant = 0.0;
    w->n_normal = 0;
    w->k_before = k;
    if (n_rows == q) return;
    for (int64_t c = 0; c < k; c++) w->tall[(q + c) * stride + first + c] = 1.0;
    for (int64_t j = 0; j < q; j++) w->tall[(q + k + j) * stride + j] = 1.0;
}

/* To the next step: z' on (e, n), made triangular; the coordinates of this step and n come along. */
INLINE void advance(const System *s, Work *w, int64_t arrival, int64_t n_rows) {
    const int64_t q = s->q, k = w->k_now, stride = 2 * q + 2 * s->k, first = 2 * q + s->k - k;
    const double *A = s->transition + arrival * q * q, *B = s->noise + arrival * q * q;
    double *root = w->next, *flat = w->flat_next;
    for (int64_t i = 0; i < q; i++)
        for (int64_t c = 0; c < k; c++) {
            double total = 0.0;
            for (int64_t r = 0; r < q; r++) total += A[i * q + r] * w->tall[r * stride + first + c];
            flat[i * k + c] = total;
        }
    multiply(A, q, w->tall, stride, q, q, q, root, q);
    for (int64_t i = 0; i < q; i++) {
        memcpy(w->tall + i * stride, root + i * q, (size_t)q * sizeof(double));
        memcpy(w->tall + i * stride + q, B + i * q, (size_t)q * sizeof(double));
    }
    triangular(w->tall, stride, q, n_rows, 2 * q, w->vector);
    for (int64_t i = 0; i < q; i++) memcpy(root + i * q, w->tall + i * stride, (size_t)q * sizeof(double));
}

/* Keep what the way back needs: X = G v + F X' + C noise, and the disturbance. */
INLINE void keep(const System *s, const Work *w, const Results *out, int64_t t, int64_t arrival) {
    const int64_t q = s->q, D = q + s->k, stride = 2 * q + 2 * s->k, k = w->k_now, d = q + w->k_before;
    const int64_t first = 2 * q + s->k - k;
    double *back = out->back + t * D * D, *rest = out->rest + t * D * D;
    for (int64_t r = 0; r < d; r++) {
        const double *row = w->tall + (q + r) * stride;
        memset(rest + r * D, 0, (size_t)D * sizeof(double));
        memcpy(rest + r * D, arrival < 0 ? row : row + q, (size_t)q * sizeof(double));
        memcpy(rest + r * D + q, row + 2 * q + s->k, (size_t)s->k * sizeof(double));
        if (arrival < 0) continue;
        memcpy(back + r * D, row, (size_t)q * sizeof(double));
        memcpy(back + r * D + q, row + first, (size_t)k * sizeof(double));
    }
    double *noise_back = out->noise_back + t * q * q, *noise_rest = out->noise_rest + t * q * q;
    if (arrival < 0) {
        memset(noise_back, 0, (size_t)(q * q) * sizeof(double));
        memset(noise_rest, 0, (size_t)(q * q) * sizeof(double));
        return;
    }
    const double *B = s->noise + arrival * q * q, *noise = w->tall + (q + d) * stride;
    multiply(B, q, noise, stride, q, q, q, noise_back, q);
    multiply(B, q, noise + q, stride, q, q, q, noise_rest, q);
}

/* A fresh record for step t. */
INLINE void record(const System *s, Work *w, const Results *out, int64_t t, int64_t pattern, int64_t arrival) {
    const int64_t q = s->q, D = q + s->k, stride = 2 * q + 2 * s->k, k = w->k_now;
    const int64_t coordinates = out->back ? q + k : 0, n_rows = q + coordinates;
    const size_t size = (size_t)(q * q) * sizeof(double);
    memcpy(w->before, w->after, size);
    memcpy(out->predicted_root + t * q * q, w->next, size);
    begin_step(s, w, n_rows);
    for (int64_t i = 0; out->back && i < q; i++) {
        double *shape = out->shape + (t * q + i) * D;
        memcpy(shape, w->flat_next + i * k, (size_t)k * sizeof(double));
        memcpy(shape + k, w->next + i * q, (size_t)q * sizeof(double));
    }
    for (int64_t i = 0; i < s->counts[pattern]; i++) {
        observe(s, w, pattern, i, n_rows);
        memcpy(w->gain + i * q, w->share, (size_t)q * sizeof(double));
        for (int64_t r = 0; r < coordinates; r++) out->ways[(t * D + r) * s->m + i] = w->share[q + r];
    }
    for (int64_t i = 0; i < s->counts[pattern]; i++)
        for (int64_t j = 0; j < i; j++)
            w->across[i * s->m + j] = dot(s->rows + (pattern * s->m + i) * q, w->gain + j * q, q);
    for (int64_t i = 0; i < q; i++)
        memcpy(out->filtered_root + (t * q + i) * q, w->tall + i * stride, (size_t)q * sizeof(double));
    if (arrival >= 0) {
        if (out->back) {
            double *noise = w->tall + n_rows * stride;
            memset(noise, 0, (size_t)(q * stride) * sizeof(double));
            for (int64_t i = 0; i < q; i++) noise[i * stride + q + i] = 1.0;
        }
        advance(s, w, arrival, out->back ? n_rows + q : q);
        square(w->next, q, q, q, w->after);
    }
    out->n_flat[2 * t] = w->k_before;
    out->n_flat[2 * t + 1] = w->k_now;
    if (out->back) keep(s, w, out, t, arrival);
}

/* Take in the numbers of a step: the state's mean moves; returns IMPOSSIBLE if an exact one disagrees. */
INLINE int observe_mean(const System *s, const Work *w, int64_t pattern, const double *y, double *state,
                        double *innovations, double *total) {
    const int64_t q = s->q, count = s->counts[pattern];
    const double *rows = s->rows + pattern * s->m * q;
    double sum = w->log_determinant + LOG_2_PI * (double)w->n_normal;
    for (int64_t i = 0; i < count; i++) innovations[i] = y[i] - dot(rows + i * q, state, q);
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < i; j++) innovations[i] -= w->across[i * s->m + j] * innovations[j];
        const double error = innovations[i];
        if (w->known[i] >= 0.0) {
            double size = fabs(y[i]) + w->known[i];
            for (int64_t j = 0; j < q; j++) size += fabs(rows[i * q + j] * state[j]);
            if (!(fabs(error) <= AGREES * size)) return IMPOSSIBLE;
        }
        sum += error * error * w->inverse[i];
    }
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < q; j++) state[j] += w->gain[i * q + j] * innovations[i];
    *total = sum;
    return 0;
}

INLINE int forward(const System *s, Work *w, const Results *out, int64_t start, int64_t stop, double *log_likelihood) {
    const int64_t q = s->q;
    Accumulator total = {0.0, 0.0};
    int64_t last = -1, last_pattern = -1, last_arrival = -1;
    memcpy(w->next, s->start_root, (size_t)(q * q) * sizeof(double));
    memcpy(w->flat_next, s->start_flat, (size_t)(q * s->k) * sizeof(double));
    w->k_now = s->k;
    square(w->next, q, q, q, w->after);
    memcpy(out->predicted + start * q, s->start, (size_t)q * sizeof(double));
    for (int64_t t = start; t < stop; t++) {
        const int64_t pattern = s->pattern ? s->pattern[t] : 0;
        const int64_t arrival = t + 1 == stop ? -1 : s->arrival ? s->arrival[t + 1] : 0;
        const int repeats = last >= 0 && pattern == last_pattern && arrival == last_arrival && w->k_before == 0;
        if (!(repeats && (out->record[t - 1] != t - 1 || is_same(w->before, w->after, q)))) {
            record(s, w, out, t, pattern, arrival);
            last = t, last_pattern = pattern, last_arrival = arrival;
        }
        out->record[t] = last;
        double *state = out->filtered + t * q, added;
        memcpy(state, out->predicted + t * q, (size_t)q * sizeof(double));
        if (observe_mean(s, w, pattern, s->values + t * s->m, state, out->innovations + t * s->m, &added))
            return IMPOSSIBLE;
        accumulate(&total, added);
        if (arrival < 0) continue;
        const double *A = s->transition + arrival * q * q, *shift = s->shift + (t + 1) * s->shift_stride;
        for (int64_t i = 0; i < q; i++) out->predicted[(t + 1) * q + i] = shift[i] + dot(A + i * q, state, q);
    }
    *log_likelihood = -0.5 * (total.sum + total.lost);
    return w->k_now ? UNDETERMINED : 0;
}

/* -- backward --------------------------------------------------------------------------------------------------- */

/* The covariances of step t from the square root of that of X'; `root` becomes that of X. */
INLINE void spread(const System *s, Work *w, const Results *out, int64_t t, int64_t last) {
    const int64_t q = s->q, D = q + s->k, r = out->record[t];
    const int64_t d = q + out->n_flat[2 * r], ahead = last ? 0 : q + out->n_flat[2 * r + 1], columns = ahead + D;
    const int64_t stride = 2 * D;
    multiply(out->back + r * D * D, D, w->root, D, d, ahead, ahead, w->wide, stride);
    multiply(out->noise_back + r * q * q, q, w->root, D, q, last ? 0 : q, ahead, w->noise, stride);
    for (int64_t i = 0; i < d; i++)
        memcpy(w->wide + i * stride + ahead, out->rest + (r * D + i) * D, (size_t)D * sizeof(double));
    for (int64_t i = 0; i < q; i++) {
        memset(w->noise + i * stride + ahead, 0, (size_t)D * sizeof(double));
        memcpy(w->noise + i * stride + ahead, out->noise_rest + (r * q + i) * q, (size_t)q * sizeof(double));
    }
    multiply(out->shape + r * q * D, D, w->wide, stride, q, d, columns, w->seen, stride);
    square(w->seen, stride, columns, q, out->covariance + t * q * q);
    square(w->noise, stride, columns, q, out->noise_covariance + t * q * q);
    for (int64_t i = 0; i < q; i++)
        for (int64_t j = 0; j < q; j++)
            out->cross[(t * q + i) * q + j] = dot(w->noise + i * stride, w->seen + j * stride, columns);
    triangular(w->wide, stride, d, d, columns, w->vector);
    for (int64_t i = 0; i < d; i++) memcpy(w->root + i * D, w->wide + i * stride, (size_t)d * sizeof(double));
    /* The next multiplication takes e before d, as `back` has its columns. */
    const int64_t k = d - q;
    if (k == 0) return;
    memcpy(w->wide, w->root, (size_t)(D * D) * sizeof(double));
    memcpy(w->root, w->wide + k * D, (size_t)(q * D) * sizeof(double));
    memcpy(w->root + q * D, w->wide, (size_t)(k * D) * sizeof(double));
}

INLINE void backward(const System *s, Work *w, const Results *out, int64_t start, int64_t stop) {
    const int64_t q = s->q, D = q + s->k, size = q * q, end = stop - 1;
    int settled = 0;
    memset(out->disturbance + start * q, 0, (size_t)q * sizeof(double));
    for (int64_t t = end; t >= start; t--) {
        const int64_t r = out->record[t], k = out->n_flat[2 * r], d = q + k;
        const int repeats = t + 1 < end && r == out->record[t + 1];
        settled = settled && repeats;
        out->kept[t] = settled ? out->kept[t + 1] : t;
        if (!settled) {
            spread(s, w, out, t, t == end);
            settled = repeats && is_same(out->covariance + t * size, out->covariance + out->kept[t + 1] * size, q);
        }
        const int64_t pattern = s->pattern ? s->pattern[t] : 0, count = s->counts[pattern];
        const int64_t columns = t == end ? 0 : q + out->n_flat[2 * r + 1];
        const double *back = out->back + r * D * D, *ways = out->ways + r * D * s->m, *shape = out->shape + r * q * D;
        const double *errors = out->innovations + t * s->m;
        if (t < end)
            for (int64_t i = 0; i < q; i++)
                out->disturbance[(t + 1) * q + i] = dot(out->noise_back + (r * q + i) * q, w->ahead, q);
        for (int64_t i = 0; i < d; i++)
            w->ahead_next[i] = dot(ways + i * s->m, errors, count) + dot(back + i * D, w->ahead, columns);
        for (int64_t i = 0; i < q; i++)
            out->mean[t * q + i] = out->predicted[t * q + i] + dot(shape + i * D, w->ahead_next, d);
        memcpy(w->ahead, w->ahead_next + k, (size_t)q * sizeof(double));
        memcpy(w->ahead + q, w->ahead_next, (size_t)k * sizeof(double));
    }
}

/* One sequence; where the compiler knows q, it unrolls the short loops over it, and the numbers stay the same. */
INLINE int smooth_one(System s, int64_t q, Work *w, const Results *out, int64_t start, int64_t stop,
                      double *log_likelihood) {
    s.q = q;
    const int status = forward(&s, w, out, start, stop, log_likelihood);
    if (!status && out->back) backward(&s, w, out, start, stop);
    return status;
}

/* Doubles of work space. */
EXPORT int64_t latentem_kalman_work(int64_t q, int64_t m, int64_t k) {
    const int64_t D = q + k;
    return 3 * q * q + q * k + m * (q + 2 + m) + (3 * q + k) * (2 * q + 2 * k) + 3 * (4 * q + 2 * k) + 2 * D + D * D +
           (D + 2 * q) * 2 * D;
}

INLINE double *take(double **space, int64_t size) {
    double *taken = *space;
    *space += size;
    return taken;
}

/* The sequences [offsets[g], offsets[g + 1]): filtered always, smoothed where `back` is given.  Fills log_likelihood (G,)
 * and status (G,): 0, or UNDETERMINED or IMPOSSIBLE, and then nothing else of that sequence is to be read.
 * sizes: states, most numbers of a step, flat directions, sequences, stride of `shift`. */
EXPORT CLONES void latentem_kalman(const int64_t *sizes, const int64_t *offsets, const int64_t *arrival,
                                   const double *transition, const double *noise, const double *shift,
                                   const int64_t *pattern, const int64_t *counts, const double *rows,
                                   const double *deviations, const double *values, const double *start,
                                   const double *start_root, const double *start_flat, double *predicted,
                                   double *filtered, int64_t *record_of, double *predicted_root, double *filtered_root,
                                   double *innovations, double *shape, double *ways, double *back, double *rest,
                                   double *noise_back, double *noise_rest, int64_t *n_flat, double *mean,
                                   double *disturbance, int64_t *kept, double *covariance, double *noise_covariance,
                                   double *cross, double *log_likelihood, int64_t *status, double *space) {
    const int64_t q = sizes[0], m = sizes[1], k = sizes[2], n_groups = sizes[3], D = q + k, longest = 4 * q + 2 * k;
    const System s = {q, m, k, arrival, transition, noise, shift, sizes[4], pattern, counts, rows, deviations, values,
                      start, start_root, start_flat};
    const Results out = {predicted, filtered, record_of, predicted_root, filtered_root, innovations, shape, ways, back,
                         rest, noise_back, noise_rest, n_flat, mean, disturbance, kept, covariance, noise_covariance,
                         cross};
    Work w;
    w.next = take(&space, q * q);
    w.before = take(&space, q * q);
    w.after = take(&space, q * q);
    w.flat_next = take(&space, q * k);
    w.gain = take(&space, m * q);
    w.inverse = take(&space, m);
    w.known = take(&space, m);
    w.across = take(&space, m * m);
    w.tall = take(&space, (3 * q + k) * (2 * q + 2 * k));
    w.vector = take(&space, longest);
    w.along = take(&space, longest);
    w.share = take(&space, longest);
    w.ahead = take(&space, D);
    w.ahead_next = take(&space, D);
    w.root = take(&space, D * D);
    w.wide = take(&space, D * 2 * D);
    w.seen = take(&space, q * 2 * D);
    w.noise = take(&space, q * 2 * D);
    for (int64_t g = 0; g < n_groups; g++) {
        const int64_t from = offsets[g], to = offsets[g + 1];
        if (q == 4) status[g] = smooth_one(s, 4, &w, &out, from, to, log_likelihood + g);
        else status[g] = smooth_one(s, q, &w, &out, from, to, log_likelihood + g);
    }
}
