/* Kalman filter and smoother over a batch of sequences, on square roots of covariances.
 *
 * z_1 = start + W d + S e with d flat (a diffuse start) and e standard normal; z_t = A z_{t-1} + shift_t + B e, where
 * B B' = Q; observations are independent numbers y = h'z + deviation e (kernels/observations.py makes any of that form).
 * Covariances are S S', so they cannot lose symmetry or definiteness.  One number at a time is taken in (Potter's update),
 * one flat direction at a time is pinned down by it; the time update is an orthogonal reduction, in which z_t and the
 * disturbance are carried along: it leaves them as a linear function of z_{t+1}, which is what smoothing needs, and no
 * matrix is inverted that may be singular.  Where covariances stop changing, their record is used again.
 *
 * docs/formulas.md has the recursions; kernels/kalman_reference.py is the same in NumPy. */
#include "latentem.h"

static const double LOG_2_PI = 1.8378770664093453;
static const double DEPENDENT = 1e-12; /* a deviation below this share of its own is no deviation */
static const double PINNED = 1e-10;    /* a coefficient of a flat direction below this share is none */
static const double SETTLED = 2e-15;   /* change of a covariance, in units of its standard deviations */
static const double AGREES = 1e-9;     /* an exact observation may be off by this share */

enum { UNDETERMINED = 1, IMPOSSIBLE = 2 };

typedef struct {
    int64_t q, m, k; /* states, most observations of a step, flat directions at the start */
    const int64_t *arrival;
    const double *transition, *noise;
    const double *shift;
    int64_t shift_stride;
    const int64_t *pattern, *counts;
    const double *rows, *deviations, *values;
    const double *start, *start_root, *start_flat;
} System;

typedef struct {
    double *predicted, *filtered;                     /* (n, q) */
    int64_t *record;                                  /* (n,): whose covariances a step has */
    double *predicted_root, *filtered_root;           /* (n, q, q), filled where record[t] == t */
    double *back, *back_noise, *rest, *rest_noise, *rest_cross; /* (n, q, q) or NULL */
    double *mean, *disturbance;                       /* (n, q) */
    int64_t *kept;                                    /* (n,): whose smoothed covariances a step has */
    double *covariance, *noise_covariance, *cross;    /* (n, q, q), filled where kept[t] == t */
} Results;

typedef struct {
    double *root, *next, *flat, *flat_next; /* (q, q), (q, q), (q, k), (q, k) */
    double *before, *after;                 /* (q, q): predicted covariances of a step and of the next */
    double *gain, *inverse, *spread;        /* (m, q), (m,), (m,) */
    double *wide;                           /* (3 q, 3 q + k) */
    double *size;                           /* (q,) */
    int64_t *order;                         /* (q,) */
    double *state, *scratch;                /* (q,), (q + 1 + k,) and (q, q + 1) */
    double log_determinant;
    int64_t n_flat, n_normal;
} Work;

INLINE double dot(const double *x, const double *y, int64_t n) {
    double total = 0.0;
    for (int64_t i = 0; i < n; i++) total += x[i] * y[i];
    return total;
}

/* Reflect the columns from `first` on so that row `row` keeps one number there; the rows after it come along. */
INLINE void reflect(double *wide, int64_t stride, int64_t row, int64_t first, int64_t columns, int64_t n_rows) {
    double *x = wide + row * stride;
    double tail = 0.0;
    for (int64_t j = first + 1; j < columns; j++) tail += x[j] * x[j];
    if (tail == 0.0) return;
    const double head = x[first], length = sqrt(head * head + tail);
    const double kept = head > 0.0 ? -length : length, lead = head - kept;
    const double scale = 1.0 / (length * (length + fabs(head)));
    for (int64_t r = row + 1; r < n_rows; r++) {
        double *y = wide + r * stride;
        double share = y[first] * lead;
        for (int64_t j = first + 1; j < columns; j++) share += y[j] * x[j];
        share *= scale;
        y[first] -= share * lead;
        for (int64_t j = first + 1; j < columns; j++) y[j] -= share * x[j];
    }
    x[first] = kept;
    for (int64_t j = first + 1; j < columns; j++) x[j] = 0.0;
}

INLINE void swap_rows(Work *w, int64_t stride, int64_t i, int64_t j) {
    if (i == j) return;
    for (int64_t c = 0; c < stride; c++) {
        const double kept = w->wide[i * stride + c];
        w->wide[i * stride + c] = w->wide[j * stride + c];
        w->wide[j * stride + c] = kept;
    }
    const double size = w->size[i];
    w->size[i] = w->size[j], w->size[j] = size;
    const int64_t order = w->order[i];
    w->order[i] = w->order[j], w->order[j] = order;
}

/* Make the first `left` rows lower triangular, the row with the largest remaining share first; the rows up to `n_rows`
 * come along.  Returns how many of them are independent. */
INLINE int64_t triangularize(Work *w, int64_t stride, int64_t left, int64_t columns, int64_t n_rows) {
    for (int64_t j = 0; j < left; j++) {
        double best = 0.0;
        int64_t chosen = j;
        for (int64_t i = j; i < left; i++) {
            const double *rest = w->wide + i * stride + j;
            const double share = w->size[i] > 0.0 ? sqrt(dot(rest, rest, columns - j)) / w->size[i] : 0.0;
            if (share > best) best = share, chosen = i;
        }
        if (!(best > DEPENDENT)) {
            for (int64_t i = j; i < left; i++)
                for (int64_t c = j; c < columns; c++) w->wide[i * stride + c] = 0.0;
            return j;
        }
        swap_rows(w, stride, j, chosen);
        reflect(w->wide, stride, j, j, columns, n_rows);
    }
    return left;
}

INLINE void square(const double *root, int64_t q, double *covariance) {
    for (int64_t i = 0; i < q; i++)
        for (int64_t j = 0; j <= i; j++)
            covariance[i * q + j] = covariance[j * q + i] = dot(root + i * q, root + j * q, q);
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

/* y = h'z pins a flat direction down: rotate W so that h'W = (w, 0, ...), put d_1 = (y - h'z - noise) / w in. */
INLINE int pin(const System *s, Work *w, const double *h, double deviation, double *gain) {
    const int64_t q = s->q, k = w->n_flat;
    double *hw = w->scratch, *turned = hw + k;
    double scale = 0.0;
    memset(hw, 0, (size_t)k * sizeof(double));
    for (int64_t i = 0; i < q; i++) {
        double largest = 0.0;
        for (int64_t c = 0; c < k; c++) {
            hw[c] += h[i] * w->flat[i * k + c];
            largest = fabs(w->flat[i * k + c]) > largest ? fabs(w->flat[i * k + c]) : largest;
        }
        scale += fabs(h[i]) * largest;
    }
    const double length = sqrt(dot(hw, hw, k));
    if (!(length > PINNED * scale)) return 0;
    /* The rows h'W, W are reflected together. */
    for (int64_t i = 0; i < q; i++)
        for (int64_t c = 0; c < k; c++) turned[i * k + c] = w->flat[i * k + c];
    reflect(hw, k, 0, 0, k, q + 1);
    const double pivot = hw[0];
    double *hs = w->state, *wide = w->wide;
    for (int64_t j = 0; j < q; j++) {
        hs[j] = 0.0;
        for (int64_t i = 0; i < q; i++) hs[j] += h[i] * w->root[i * q + j];
    }
    for (int64_t i = 0; i < q; i++) {
        gain[i] = turned[i * k] / pivot;
        for (int64_t j = 0; j < q; j++) wide[i * (q + 1) + j] = w->root[i * q + j] - gain[i] * hs[j];
        wide[i * (q + 1) + q] = gain[i] * deviation;
        for (int64_t c = 1; c < k; c++) w->flat[i * (k - 1) + c - 1] = turned[i * k + c];
    }
    for (int64_t j = 0; j < q; j++) reflect(wide, q + 1, j, j, q + 1, q);
    for (int64_t i = 0; i < q; i++) memcpy(w->root + i * q, wide + i * (q + 1), (size_t)q * sizeof(double));
    w->n_flat = k - 1;
    w->log_determinant += 2.0 * log(fabs(pivot));
    return 1;
}

/* The covariances after the observations of one step, and the gains. */
INLINE void observe(const System *s, Work *w, int64_t pattern) {
    const int64_t q = s->q;
    double *hs = w->scratch, *s_hs = w->scratch + q;
    w->log_determinant = 0.0;
    w->n_normal = 0;
    for (int64_t i = 0; i < s->counts[pattern]; i++) {
        const double *h = s->rows + (pattern * s->m + i) * q;
        const double deviation = s->deviations[pattern * s->m + i];
        double *gain = w->gain + i * q;
        w->inverse[i] = 0.0;
        w->spread[i] = -1.0;
        if (w->n_flat && pin(s, w, h, deviation, gain)) continue;
        double before = 0.0;
        for (int64_t j = 0; j < q; j++) before += h[j] * h[j] * w->before[j * q + j];
        for (int64_t j = 0; j < q; j++) {
            hs[j] = 0.0;
            for (int64_t r = 0; r < q; r++) hs[j] += h[r] * w->root[r * q + j];
        }
        const double signal = dot(hs, hs, q), variance = deviation * deviation + signal;
        if (variance == 0.0 || (deviation == 0.0 && signal <= DEPENDENT * DEPENDENT * before)) {
            memset(gain, 0, (size_t)q * sizeof(double));
            w->spread[i] = sqrt(before);
            continue;
        }
        for (int64_t r = 0; r < q; r++) s_hs[r] = dot(w->root + r * q, hs, q);
        const double scale = 1.0 / (variance + deviation * sqrt(variance));
        for (int64_t r = 0; r < q; r++) {
            gain[r] = s_hs[r] / variance;
            for (int64_t j = 0; j < q; j++) w->root[r * q + j] -= s_hs[r] * scale * hs[j];
        }
        w->inverse[i] = 1.0 / variance;
        w->log_determinant += log(variance);
        w->n_normal++;
    }
}

/* The rows of z_{t+1}, and of z_t and the disturbance if they are wanted, on the columns: noise (2 q), z_{t+1} itself (q),
 * flat directions (k). */
INLINE void spread_out(const System *s, Work *w, int64_t arrival, int joint) {
    const int64_t q = s->q, k = w->n_flat, stride = 3 * q + k;
    const double *A = s->transition + arrival * q * q, *B = s->noise + arrival * q * q;
    memset(w->wide, 0, (size_t)((joint ? 3 : 1) * q * stride) * sizeof(double));
    for (int64_t i = 0; i < q; i++) {
        double *next = w->wide + i * stride;
        for (int64_t r = 0; r < q; r++) {
            const double a = A[i * q + r];
            for (int64_t j = 0; j < q; j++) next[j] += a * w->root[r * q + j];
            for (int64_t c = 0; c < k; c++) next[3 * q + c] += a * w->flat[r * k + c];
        }
        for (int64_t j = 0; j < q; j++) next[q + j] = B[i * q + j];
        next[2 * q + i] = -1.0;
        w->size[i] = sqrt(dot(next, next, 2 * q));
        w->order[i] = i;
        if (!joint) continue;
        double *now = next + q * stride, *noise = next + 2 * q * stride;
        for (int64_t j = 0; j < q; j++) now[j] = w->root[i * q + j];
        for (int64_t c = 0; c < k; c++) now[3 * q + c] = w->flat[i * k + c];
        for (int64_t j = 0; j < q; j++) noise[q + j] = B[i * q + j];
    }
}

/* Solve rows of z_{t+1} for the flat directions and put them into all others; returns how many rows are left, or -1. */
INLINE int64_t eliminate_flat(Work *w, int64_t q, int64_t k) {
    const int64_t stride = 3 * q + k;
    int64_t left = q;
    for (int64_t f = 0; f < k; f++) {
        double best = 0.0, largest = 0.0;
        int64_t row = 0, column = f;
        for (int64_t r = 0; r < left; r++)
            for (int64_t c = f; c < k; c++) {
                const double size = fabs(w->wide[r * stride + 3 * q + c]);
                if (size > best) best = size, row = r, column = c;
            }
        for (int64_t r = q; r < 2 * q; r++)
            for (int64_t c = f; c < k; c++) {
                const double size = fabs(w->wide[r * stride + 3 * q + c]);
                largest = size > largest ? size : largest;
            }
        if (!(best > PINNED * largest)) return -1;
        const double *from = w->wide + row * stride;
        for (int64_t r = 0; r < 3 * q; r++) {
            double *to = w->wide + r * stride;
            const double moved = to[3 * q + f];
            to[3 * q + f] = to[3 * q + column], to[3 * q + column] = moved;
        }
        for (int64_t r = 0; r < 3 * q; r++) {
            if (r == row || (r >= left && r < q)) continue;
            double *to = w->wide + r * stride;
            const double ratio = to[3 * q + f] / from[3 * q + f];
            for (int64_t c = 0; c < stride; c++) to[c] -= ratio * from[c];
            to[3 * q + f] = 0.0;
            if (r < left) w->size[r] += fabs(ratio) * w->size[row];
        }
        swap_rows(w, stride, row, --left);
    }
    return left;
}

INLINE void take_next(Work *w, int64_t q, int64_t stride) {
    for (int64_t i = 0; i < q; i++) memcpy(w->next + w->order[i] * q, w->wide + i * stride, (size_t)q * sizeof(double));
}

/* From the covariances after the observations to those before the next. */
INLINE void advance(const System *s, Work *w, int64_t arrival) {
    const int64_t q = s->q, k = w->n_flat, stride = 3 * q + k;
    spread_out(s, w, arrival, 0);
    for (int64_t i = 0; i < q; i++)
        for (int64_t c = 0; c < k; c++) w->flat_next[i * k + c] = w->wide[i * stride + 3 * q + c];
    triangularize(w, stride, q, 2 * q, q);
    take_next(w, q, stride);
}

/* The same, and z_t = filtered + J (z_{t+1} - predicted) + rest, likewise the disturbance. */
INLINE int join(const System *s, Work *w, int64_t arrival, const Results *out, int64_t t) {
    const int64_t q = s->q, k = w->n_flat, stride = 3 * q + k;
    if (k) advance(s, w, arrival);
    spread_out(s, w, arrival, 1);
    const int64_t left = k ? eliminate_flat(w, q, k) : q;
    if (left < 0) return UNDETERMINED;
    const int64_t rank = triangularize(w, stride, left, 2 * q, 3 * q);
    if (!k) take_next(w, q, stride);
    for (int64_t j = 0; j < rank; j++) {
        double *solved = w->wide + j * stride;
        for (int64_t i = 0; i < j; i++) {
            const double *other = w->wide + i * stride;
            for (int64_t c = 2 * q; c < 3 * q; c++) solved[c] -= w->wide[j * stride + i] * other[c];
        }
        for (int64_t c = 2 * q; c < 3 * q; c++) solved[c] /= w->wide[j * stride + j];
    }
    const double *now = w->wide + q * stride, *noise = w->wide + 2 * q * stride;
    for (int64_t i = 0; i < q; i++)
        for (int64_t c = 0; c < q; c++) {
            double back = now[i * stride + 2 * q + c], back_noise = noise[i * stride + 2 * q + c];
            for (int64_t j = 0; j < rank; j++) {
                back -= now[i * stride + j] * w->wide[j * stride + 2 * q + c];
                back_noise -= noise[i * stride + j] * w->wide[j * stride + 2 * q + c];
            }
            const int64_t place = t * q * q + i * q + c, columns = 2 * q - rank;
            const double *noise_rest = noise + i * stride + rank;
            out->back[place] = back;
            out->back_noise[place] = back_noise;
            out->rest[place] = dot(now + i * stride + rank, now + c * stride + rank, columns);
            out->rest_noise[place] = dot(noise_rest, noise + c * stride + rank, columns);
            out->rest_cross[place] = dot(noise_rest, now + c * stride + rank, columns);
        }
    return 0;
}

/* Take in the observations of a step: the state's mean moves; returns what they add to -2 log-likelihood. */
INLINE int observe_mean(const System *s, const Work *w, int64_t pattern, const double *y, double *state, double *total) {
    const int64_t q = s->q;
    double sum = w->log_determinant + LOG_2_PI * (double)w->n_normal;
    for (int64_t i = 0; i < s->counts[pattern]; i++) {
        const double *h = s->rows + (pattern * s->m + i) * q, *gain = w->gain + i * q;
        const double error = y[i] - dot(h, state, q);
        if (w->spread[i] >= 0.0) {
            double size = fabs(y[i]) + w->spread[i];
            for (int64_t j = 0; j < q; j++) size += fabs(h[j] * state[j]);
            if (!(fabs(error) <= AGREES * size)) return IMPOSSIBLE;
        }
        sum += error * error * w->inverse[i];
        for (int64_t j = 0; j < q; j++) state[j] += gain[j] * error;
    }
    *total = sum;
    return 0;
}

INLINE void predict_mean(const System *s, int64_t t, int64_t arrival, const double *filtered, double *predicted) {
    const int64_t q = s->q;
    const double *A = s->transition + arrival * q * q, *shift = s->shift + t * s->shift_stride;
    for (int64_t i = 0; i < q; i++) predicted[i] = shift[i] + dot(A + i * q, filtered, q);
}

INLINE void begin(const System *s, Work *w) {
    memcpy(w->next, s->start_root, (size_t)(s->q * s->q) * sizeof(double));
    memcpy(w->flat_next, s->start_flat, (size_t)(s->q * s->k) * sizeof(double));
    w->n_flat = s->k;
    square(w->next, s->q, w->after);
}

/* A fresh record for step t: covariances before, after, and at the next step. */
INLINE int record(const System *s, Work *w, const Results *out, int64_t t, int64_t pattern, int64_t arrival) {
    const int64_t q = s->q;
    const size_t size = (size_t)(q * q) * sizeof(double);
    memcpy(w->root, w->next, size);
    memcpy(w->before, w->after, size);
    memcpy(w->flat, w->flat_next, (size_t)(q * w->n_flat) * sizeof(double));
    memcpy(out->predicted_root + t * q * q, w->root, size);
    observe(s, w, pattern);
    memcpy(out->filtered_root + t * q * q, w->root, size);
    if (arrival < 0) return 0;
    int failed = 0;
    if (out->back)
        failed = join(s, w, arrival, out, t);
    else
        advance(s, w, arrival);
    square(w->next, q, w->after);
    return failed;
}

INLINE int forward(const System *s, Work *w, const Results *out, int64_t start, int64_t stop, double *log_likelihood) {
    const int64_t q = s->q;
    Accumulator total = {0.0, 0.0};
    int64_t last = -1, last_pattern = -1, last_arrival = -1;
    begin(s, w);
    memcpy(out->predicted + start * q, s->start, (size_t)q * sizeof(double));
    for (int64_t t = start; t < stop; t++) {
        const int64_t pattern = s->pattern ? s->pattern[t] : 0;
        const int64_t arrival = t + 1 == stop ? -1 : s->arrival ? s->arrival[t + 1] : 0;
        const int repeats = last >= 0 && pattern == last_pattern && arrival == last_arrival && w->n_flat == 0;
        if (!(repeats && (out->record[t - 1] != t - 1 || is_same(w->before, w->after, q)))) {
            const int failed = record(s, w, out, t, pattern, arrival);
            if (failed) return failed;
            last = t, last_pattern = pattern, last_arrival = arrival;
        }
        out->record[t] = last;
        double *state = out->filtered + t * q, added;
        memcpy(state, out->predicted + t * q, (size_t)q * sizeof(double));
        if (observe_mean(s, w, pattern, s->values + t * s->m, state, &added)) return IMPOSSIBLE;
        accumulate(&total, added);
        if (arrival >= 0) predict_mean(s, t + 1, arrival, state, out->predicted + (t + 1) * q);
    }
    *log_likelihood = -0.5 * (total.sum + total.lost);
    return w->n_flat ? UNDETERMINED : 0;
}

/* rest + left V right', symmetric if left is right. */
INLINE void carry(const double *rest, const double *left, const double *V, const double *right, int64_t q, double *product,
                  double *result) {
    for (int64_t i = 0; i < q; i++)
        for (int64_t j = 0; j < q; j++) {
            double total = 0.0;
            for (int64_t r = 0; r < q; r++) total += left[i * q + r] * V[r * q + j];
            product[i * q + j] = total;
        }
    for (int64_t i = 0; i < q; i++)
        for (int64_t j = 0; j < q; j++) result[i * q + j] = rest[i * q + j] + dot(product + i * q, right + j * q, q);
    if (left != right) return;
    for (int64_t i = 0; i < q; i++)
        for (int64_t j = 0; j < i; j++)
            result[i * q + j] = result[j * q + i] = 0.5 * (result[i * q + j] + result[j * q + i]);
}

INLINE void backward(const System *s, Work *w, const Results *out, int64_t start, int64_t stop) {
    const int64_t q = s->q, size = q * q, end = stop - 1;
    memcpy(out->mean + end * q, out->filtered + end * q, (size_t)q * sizeof(double));
    square(out->filtered_root + out->record[end] * size, q, out->covariance + end * size);
    memset(out->noise_covariance + end * size, 0, (size_t)size * sizeof(double));
    memset(out->cross + end * size, 0, (size_t)size * sizeof(double));
    memset(out->disturbance + start * q, 0, (size_t)q * sizeof(double));
    out->kept[end] = end;
    int settled = 0;
    for (int64_t t = end - 1; t >= start; t--) {
        const int64_t r = out->record[t] * size, next = out->kept[t + 1];
        settled = t + 1 < end && out->record[t] == out->record[t + 1] && settled;
        out->kept[t] = settled ? next : t;
        if (!settled) {
            const double *V = out->covariance + next * size;
            double *here = out->covariance + t * size;
            carry(out->rest + r, out->back + r, V, out->back + r, q, w->root, here);
            carry(out->rest_noise + r, out->back_noise + r, V, out->back_noise + r, q, w->root,
                  out->noise_covariance + t * size);
            carry(out->rest_cross + r, out->back_noise + r, V, out->back + r, q, w->root, out->cross + t * size);
            settled = t + 1 < end && out->record[t] == out->record[t + 1] && is_same(here, V, q);
        }
        double *error = w->state, *mean = out->mean + t * q;
        for (int64_t i = 0; i < q; i++) error[i] = out->mean[(t + 1) * q + i] - out->predicted[(t + 1) * q + i];
        for (int64_t i = 0; i < q; i++) {
            mean[i] = out->filtered[t * q + i] + dot(out->back + r + i * q, error, q);
            out->disturbance[(t + 1) * q + i] = dot(out->back_noise + r + i * q, error, q);
        }
    }
}

/* Doubles of work space. */
EXPORT int64_t latentem_kalman_work(int64_t q, int64_t m, int64_t k) {
    return 4 * q * q + 2 * q * k + m * (q + 2) + 3 * q * (3 * q + k) + 2 * q + q + (q + 1) * (k + 2) + 2 * q + 1;
}

/* The sequences [offsets[g], offsets[g + 1]): filtered always, smoothed where `back` is given; fills log_likelihood (G,)
 * and status (G,): 0, or UNDETERMINED or IMPOSSIBLE, and then nothing else of that sequence is to be read. */
EXPORT CLONES void latentem_kalman(const int64_t *sizes, const int64_t *offsets, const int64_t *arrival,
                                   const double *transition, const double *noise, const double *shift,
                                   const int64_t *pattern, const int64_t *counts, const double *rows,
                                   const double *deviations, const double *values, const double *start,
                                   const double *start_root, const double *start_flat, double *predicted,
                                   double *filtered, int64_t *record_of, double *predicted_root, double *filtered_root,
                                   double *back, double *back_noise, double *rest, double *rest_noise,
                                   double *rest_cross, double *mean, double *disturbance, int64_t *kept,
                                   double *covariance, double *noise_covariance, double *cross, double *log_likelihood,
                                   int64_t *status, double *space, int64_t *order) {
    const int64_t q = sizes[0], m = sizes[1], k = sizes[2], n_groups = sizes[3];
    const System s = {q, m, k, arrival, transition, noise, shift, sizes[4], pattern, counts, rows, deviations, values,
                      start, start_root, start_flat};
    const Results out = {predicted, filtered, record_of, predicted_root, filtered_root, back, back_noise, rest, rest_noise,
                         rest_cross, mean, disturbance, kept, covariance, noise_covariance, cross};
    Work w;
    w.root = space;
    w.next = w.root + q * q;
    w.before = w.next + q * q;
    w.after = w.before + q * q;
    w.flat = w.after + q * q;
    w.flat_next = w.flat + q * k;
    w.gain = w.flat_next + q * k;
    w.inverse = w.gain + m * q;
    w.spread = w.inverse + m;
    w.wide = w.spread + m;
    w.size = w.wide + 3 * q * (3 * q + k);
    w.state = w.size + q;
    w.scratch = w.state + q;
    w.order = order;
    for (int64_t g = 0; g < n_groups; g++) {
        status[g] = forward(&s, &w, &out, offsets[g], offsets[g + 1], log_likelihood + g);
        if (!status[g] && back) backward(&s, &w, &out, offsets[g], offsets[g + 1]);
    }
}
