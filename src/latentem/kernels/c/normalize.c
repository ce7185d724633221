/* Log-sum-exp and normalization over states. */
#include "latentem.h"

enum { TILE = 256 };

/* Turn log joints (K, n) into posteriors in place; their peaks and the totals relative to them go to (n,) each, so that
 * log sum exp = peak + log(total).  A column without a finite peak leaves NaN. */
EXPORT CLONES void latentem_normalize(int64_t n_states, int64_t n, double *log_joint, double *peak, double *total) {
    for (int64_t start = 0; start < n; start += TILE) {
        const int64_t width = n - start < TILE ? n - start : TILE;
        double *restrict top = peak + start;
        double *restrict sum = total + start;
        double inverse[TILE];
        for (int64_t i = 0; i < width; i++) top[i] = log_joint[start + i];
        for (int64_t k = 1; k < n_states; k++) {
            const double *restrict row = log_joint + k * n + start;
            for (int64_t i = 0; i < width; i++) top[i] = row[i] > top[i] ? row[i] : top[i];
        }
        for (int64_t i = 0; i < width; i++) sum[i] = 0.0;
        for (int64_t k = 0; k < n_states; k++) {
            double *restrict row = log_joint + k * n + start;
            for (int64_t i = 0; i < width; i++) {
                const double value = exp_nonpositive(row[i] - top[i]);
                row[i] = value;
                sum[i] += value;
            }
        }
        for (int64_t i = 0; i < width; i++) inverse[i] = 1.0 / sum[i];
        for (int64_t k = 0; k < n_states; k++) {
            double *restrict row = log_joint + k * n + start;
            for (int64_t i = 0; i < width; i++) row[i] *= inverse[i];
        }
    }
}
