/* Forward-backward and filtering over sequences and blocks, for one vector unit: included once for each. */

APART int VARIANT(one_sequence)(const Chain *chain, const double *initial,
                        const double *transition, const double *log_density, int64_t stride, int64_t length,
                        const Work *work, double *posterior, double *pairs, double *log_likelihood) {
    const int64_t width = chain->width;
    const int64_t K = chain->n_states, blocks = blocks_of(length);
    const size_t row = (size_t)width * sizeof(double);
    Accumulator total = {0.0, 0.0};
    memcpy(work->message, initial, row);
    memset(work->seams, 0, 2 * row);
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t start = i * BLOCK, n = shorter(length - start, BLOCK);
        double *seam = work->seams + 2 * i * width;
        memcpy(seam, work->message, row);
        begin_block(width, seam + width, work->alpha, work->sums);
        VARIANT(emissions)(chain, log_density + start, stride, n, work->b, work->peaks);
        if (VARIANT(forward_rows)(chain, n, work->b, work->message, work->alpha + width, work->sums + 1, 0))
            return IMPOSSIBLE;
        accumulate(&total, sum_of(work->peaks, n));
        accumulate(&total, sum_of_logs(work->sums + 1, n));
        if (i + 1 < blocks) end_block(width, n, work->alpha, work->sums, seam + 3 * width);
    }
    *log_likelihood = total.sum + total.lost;
    if (!(fabs(*log_likelihood) <= DBL_MAX)) return IMPOSSIBLE;
    memset(work->pairs, 0, (size_t)width * row);
    for (int64_t k = 0; k < width; k++) work->message[k] = k < K ? 1.0 : 0.0;
    for (int64_t i = blocks - 1; i >= 0; i--) {
        const int64_t start = i * BLOCK, n = shorter(length - start, BLOCK);
        double *seam = work->seams + 2 * i * width;
        if (i + 1 < blocks) {
            begin_block(width, seam + width, work->alpha, work->sums);
            VARIANT(emissions)(chain, log_density + start, stride, n, work->b, work->peaks);
            VARIANT(forward_rows)(chain, n, work->b, seam, work->alpha + width, work->sums + 1, 0);
        }
        const int status = VARIANT(backward_combine)(chain, n, work->b, work->alpha, work->sums, work->message,
                                            posterior + start, stride, work->pairs, work->tile);
        if (status) return LOST;
    }
    for (int64_t j = 0; j < K; j++)
        for (int64_t k = 0; k < K; k++) {
            const double used = chain->matrix[j * width + k], share = work->pairs[j * width + k];
            pairs[j * K + k] = share * transition[j * K + k];
            if (used > transition[j * K + k] && !(share * used <= LARGEST_RAISED)) return LOST;
        }
    return POSSIBLE;
}


static void VARIANT(forward_backward)(int64_t n_states, int64_t n_rows, int64_t n_groups, int64_t guarded,
                                             const int64_t *offsets, const double *initial, const double *matrix,
                                             const double *transposed, const double *transition,
                                             const double *log_density, double *posterior, double *pairs,
                                             double *log_likelihood, uint8_t *status, double *space) {
    const Chain chain = chain_of(n_states, matrix, transposed, guarded);
    const int64_t K = n_states, width = chain.width;
    int64_t longest = 0;
    for (int64_t g = 0; g < n_groups; g++)
        longest = offsets[g + 1] - offsets[g] > longest ? offsets[g + 1] - offsets[g] : longest;
    const int64_t rows = shorter(longest, BLOCK);
    Work work;
    work.b = space;
    work.alpha = work.b + rows * width;
    work.pairs = work.alpha + (rows + 1) * width;
    work.message = work.pairs + width * width;
    work.tile = work.message + width;
    work.seams = work.tile + tile_work(width);
    work.sums = work.seams + blocks_of(longest) * 2 * width;
    work.peaks = work.sums + rows + 1;
    for (int64_t g = 0; g < n_groups; g++) {
        const int64_t start = offsets[g], length = offsets[g + 1] - start;
        status[g] = POSSIBLE;
        if (length)
            status[g] = (uint8_t)VARIANT(one_sequence)(&chain, initial, transition, log_density + start, n_rows, length,
                                                       &work, posterior + start, pairs + g * K * K, log_likelihood + g);
    }
}

static int64_t VARIANT(chain_forward)(int64_t n_states, int64_t n, int64_t guarded, const double *matrix,
                                             const double *log_density, double *message, double *last, double *b,
                                             double *alpha, double *sums, double *peaks, double *log_likelihood) {
    const Chain chain = chain_of(n_states, matrix, matrix, guarded);
    begin_block(chain.width, last, alpha, sums);
    VARIANT(emissions)(&chain, log_density, n, n, b, peaks);
    const int status = VARIANT(forward_rows)(&chain, n, b, message, alpha + chain.width, sums + 1, 0);
    if (status) return status;
    end_block(chain.width, n, alpha, sums, last);
    *log_likelihood = sum_of(peaks, n) + sum_of_logs(sums + 1, n);
    return fabs(*log_likelihood) <= DBL_MAX ? POSSIBLE : IMPOSSIBLE;
}

static int64_t VARIANT(chain_backward)(int64_t n_states, int64_t n, int64_t guarded, const double *transposed,
                                              const double *log_density, double *message, double *b, double *beta,
                                              double *peaks, double *ahead, double *sum_of_peaks) {
    const Chain chain = chain_of(n_states, transposed, transposed, guarded);
    VARIANT(emissions)(&chain, log_density, n, n, b, peaks);
    const int status = VARIANT(backward_rows)(&chain, n, b, 0, message, beta, ahead);
    *sum_of_peaks = sum_of(peaks, n);
    return status ? status : fabs(*sum_of_peaks) <= DBL_MAX ? POSSIBLE : IMPOSSIBLE;
}


static int64_t VARIANT(chain_backward_combine)(int64_t n_states, int64_t n, int64_t guarded,
                                                      const double *transposed, const double *b, const double *alpha,
                                                      const double *sums, double *message, double *posterior,
                                                      double *pairs, double *work) {
    const Chain chain = chain_of(n_states, transposed, transposed, guarded);
    memset(pairs, 0, (size_t)(chain.width * chain.width) * sizeof(double));
    return VARIANT(backward_combine)(&chain, n, b, alpha, sums, message, posterior, n, pairs, work);
}

static int64_t VARIANT(chain_forward_combine)(int64_t n_states, int64_t n, int64_t guarded,
                                                     const double *matrix, const double *b, const double *beta,
                                                     double *sums, double *message, double *last, double *posterior,
                                                     double *pairs, double *log_likelihood, double *work) {
    const Chain chain = chain_of(n_states, matrix, matrix, guarded);
    double *alpha = work + tile_work(chain.width);
    memset(pairs, 0, (size_t)(chain.width * chain.width) * sizeof(double));
    begin_block(chain.width, last, alpha, sums);
    const int status = VARIANT(forward_combine)(&chain, n, b, beta, message, alpha, sums, posterior, n, pairs, work);
    if (status) return status;
    for (int64_t k = 0; k < chain.width; k++) last[k] = alpha[k] / sums[n];
    *log_likelihood = sum_of_logs(sums + 1, n);
    return POSSIBLE;
}

static void VARIANT(chain_filter)(int64_t n_states, int64_t n_rows, int64_t n_groups, int64_t guarded,
                                         const int64_t *offsets, const double *initial, const double *matrix,
                                         const double *log_density, double *predicted, double *filtered,
                                         double *increments, uint8_t *status, double *space) {
    const Chain chain = chain_of(n_states, matrix, matrix, guarded);
    const int64_t width = chain.width;
    double *b = space, *alpha = b + TILE * width, *ahead = alpha + TILE * width, *message = ahead + TILE * width;
    double *error = message + width, *row = error + width, *sums = row + width, *peaks = sums + TILE;
    for (int64_t g = 0; g < n_groups; g++) {
        memcpy(message, initial, (size_t)width * sizeof(double));
        memset(error, 0, (size_t)width * sizeof(double));
        status[g] = POSSIBLE;
        for (int64_t start = offsets[g]; start < offsets[g + 1] && !status[g]; start += TILE) {
            const int64_t n = shorter(offsets[g + 1] - start, TILE);
            VARIANT(emissions)(&chain, log_density + start, n_rows, n, b, peaks);
            status[g] = (uint8_t)VARIANT(forward_rows)(&chain, n, b, message, alpha, sums, ahead);
            if (guarded && !status[g]) status[g] = (uint8_t)VARIANT(error_rows)(&chain, n, b, alpha, sums, error, row);
            for (int64_t t = 0; t < n && !status[g]; t++) {
                increments[start + t] = peaks[t] + log(sums[t]);
                if (!(fabs(increments[start + t]) <= DBL_MAX)) status[g] = LOST;
            }
            for (int64_t k = 0; k < n_states; k++)
                for (int64_t t = 0; t < n; t++) {
                    predicted[k * n_rows + start + t] = ahead[t * width + k];
                    filtered[k * n_rows + start + t] = alpha[t * width + k] / sums[t];
                }
        }
    }
}
