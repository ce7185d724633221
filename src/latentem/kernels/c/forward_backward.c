/* Forward-backward over a batch of sequences, and over single blocks of one sequence; see chain.h. */
#include "chain.h"

/* Sequences longer than this keep alpha at the seams of blocks alone and compute it again, block by block, on the way
 * back. */
enum { BLOCK = 1024 };

/* Raised transitions must have at most this share of the posterior. */
static const double LARGEST_RAISED = 1e-30;

typedef struct {
    double *b, *alpha, *sums, *peaks; /* of a block: (BLOCK, width), (BLOCK + 1, width), (BLOCK + 1,), (BLOCK,) */
    double *pairs, *message, *tile;   /* (width, width), (width,), see tile_work */
    double *seams;                    /* (blocks, 2, width): message and the normalized alpha before each block */
} Work;

static int64_t shorter(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t blocks_of(int64_t length) { return (length + BLOCK - 1) / BLOCK; }

/* The row before a block: its normalized alpha, nothing before the first row of a sequence. */
static void begin_block(int64_t width, const double *last, double *alpha, double *sums) {
    memcpy(alpha, last, (size_t)width * sizeof(double));
    sums[0] = 1.0;
}

static void end_block(int64_t width, int64_t n, const double *alpha, const double *sums, double *last) {
    for (int64_t k = 0; k < width; k++) last[k] = alpha[n * width + k] / sums[n];
}

INLINE int one_sequence(const Chain *chain, const int64_t width, const int64_t depth, const double *initial,
                        const double *transition, const double *log_density, int64_t stride, int64_t length,
                        const Work *work, double *posterior, double *pairs, double *log_likelihood) {
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
        emissions(chain, log_density + start, stride, n, work->b, work->peaks);
        if (forward_rows(chain, width, depth, n, work->b, work->message, work->alpha + width, work->sums + 1, 0))
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
            emissions(chain, log_density + start, stride, n, work->b, work->peaks);
            forward_rows(chain, width, depth, n, work->b, seam, work->alpha + width, work->sums + 1, 0);
        }
        const int status = backward_combine(chain, width, depth, n, work->b, work->alpha, work->sums, work->message,
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
EXPORT CLONES void latentem_forward_backward(int64_t n_states, int64_t n_rows, int64_t n_groups, int64_t guarded,
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
#define SEQUENCE(width, depth)                                                                                       \
    one_sequence(&chain, width, depth, initial, transition, log_density + start, n_rows, length, &work, posterior + start, \
                 pairs + g * K * K, log_likelihood + g)
        status[g] = (uint8_t)(length ? WITH_WIDTH(SEQUENCE) : POSSIBLE);
    }
}

/* One block forward: b (n, width), alpha (n + 1, width) from the row before on, sums (n + 1,) likewise, and its share of
 * the log-likelihood.  `message` (width,) and `last` (width,), the normalized alpha before the block, are moved on. */
EXPORT CLONES int64_t latentem_chain_forward(int64_t n_states, int64_t n, int64_t guarded, const double *matrix,
                                             const double *log_density, double *message, double *last, double *b,
                                             double *alpha, double *sums, double *peaks, double *log_likelihood) {
    const Chain chain = chain_of(n_states, matrix, matrix, guarded);
    begin_block(chain.width, last, alpha, sums);
    emissions(&chain, log_density, n, n, b, peaks);
#define FORWARD(width, depth) forward_rows(&chain, width, depth, n, b, message, alpha + width, sums + 1, 0)
    const int status = WITH_WIDTH(FORWARD);
    if (status) return status;
    end_block(chain.width, n, alpha, sums, last);
    *log_likelihood = sum_of(peaks, n) + sum_of_logs(sums + 1, n);
    return fabs(*log_likelihood) <= DBL_MAX ? POSSIBLE : IMPOSSIBLE;
}

/* One block backward: b and beta (n, width), and the sum of the peaks.  `message` (width,) is moved on. */
EXPORT CLONES int64_t latentem_chain_backward(int64_t n_states, int64_t n, int64_t guarded, const double *transposed,
                                              const double *log_density, double *message, double *b, double *beta,
                                              double *peaks, double *ahead, double *sum_of_peaks) {
    const Chain chain = chain_of(n_states, transposed, transposed, guarded);
    emissions(&chain, log_density, n, n, b, peaks);
#define BACKWARD(width, depth) backward_rows(&chain, width, depth, n, b, message, beta, ahead)
    const int status = WITH_WIDTH(BACKWARD);
    *sum_of_peaks = sum_of(peaks, n);
    return status ? status : fabs(*sum_of_peaks) <= DBL_MAX ? POSSIBLE : IMPOSSIBLE;
}

EXPORT int64_t latentem_chain_tile_work(int64_t n_states) {
    const int64_t width = (n_states + 7) / 8 * 8;
    return tile_work(width) + (TILE + 1) * width;
}

/* The rest of a block that was run forward: posterior (K, n), and its pairs (width, width), not yet times A. */
EXPORT CLONES int64_t latentem_chain_backward_combine(int64_t n_states, int64_t n, int64_t guarded,
                                                      const double *transposed, const double *b, const double *alpha,
                                                      const double *sums, double *message, double *posterior,
                                                      double *pairs, double *work) {
    const Chain chain = chain_of(n_states, transposed, transposed, guarded);
    memset(pairs, 0, (size_t)(chain.width * chain.width) * sizeof(double));
#define BACK(width, depth) \
    backward_combine(&chain, width, depth, n, b, alpha, sums, message, posterior, n, pairs, work)
    return WITH_WIDTH(BACK);
}

/* The rest of a block that was run backward, likewise; sums (n + 1,) is work space. */
EXPORT CLONES int64_t latentem_chain_forward_combine(int64_t n_states, int64_t n, int64_t guarded,
                                                     const double *matrix, const double *b, const double *beta,
                                                     double *sums, double *message, double *last, double *posterior,
                                                     double *pairs, double *log_likelihood, double *work) {
    const Chain chain = chain_of(n_states, matrix, matrix, guarded);
    double *alpha = work + tile_work(chain.width);
    memset(pairs, 0, (size_t)(chain.width * chain.width) * sizeof(double));
    begin_block(chain.width, last, alpha, sums);
#define FORTH(width, depth) \
    forward_combine(&chain, width, depth, n, b, beta, message, alpha, sums, posterior, n, pairs, work)
    const int status = WITH_WIDTH(FORTH);
    if (status) return status;
    for (int64_t k = 0; k < chain.width; k++) last[k] = alpha[k] / sums[n];
    *log_likelihood = sum_of_logs(sums + 1, n);
    return POSSIBLE;
}

/* p(z_t | x_1 ... x_{t-1}) and p(z_t | x_1 ... x_t), (K, N), and log p(x_t | x_1 ... x_{t-1}), (N,).
 *
 * `status` as above; a sequence that is not POSSIBLE is left unfinished.  Work space: 3 TILE width + 2 TILE + width. */
EXPORT CLONES void latentem_chain_filter(int64_t n_states, int64_t n_rows, int64_t n_groups, int64_t guarded,
                                         const int64_t *offsets, const double *initial, const double *matrix,
                                         const double *log_density, double *predicted, double *filtered,
                                         double *increments, uint8_t *status, double *space) {
    const Chain chain = chain_of(n_states, matrix, matrix, guarded);
    const int64_t width = chain.width;
    const double least = guarded ? SMALLEST_INCREMENT : 0.0;
    double *b = space, *alpha = b + TILE * width, *ahead = alpha + TILE * width, *message = ahead + TILE * width;
    double *sums = message + width, *peaks = sums + TILE;
    for (int64_t g = 0; g < n_groups; g++) {
        memcpy(message, initial, (size_t)width * sizeof(double));
        status[g] = POSSIBLE;
        for (int64_t start = offsets[g]; start < offsets[g + 1] && !status[g]; start += TILE) {
            const int64_t n = shorter(offsets[g + 1] - start, TILE);
            emissions(&chain, log_density + start, n_rows, n, b, peaks);
#define FILTER(width, depth) forward_rows(&chain, width, depth, n, b, message, alpha, sums, ahead)
            status[g] = (uint8_t)WITH_WIDTH(FILTER);
            for (int64_t t = 0; t < n && !status[g]; t++) {
                increments[start + t] = peaks[t] + log(sums[t]);
                if (!(sums[t] >= least && fabs(increments[start + t]) <= DBL_MAX)) status[g] = LOST;
            }
            for (int64_t k = 0; k < n_states; k++)
                for (int64_t t = 0; t < n; t++) {
                    predicted[k * n_rows + start + t] = ahead[t * width + k];
                    filtered[k * n_rows + start + t] = alpha[t * width + k] / sums[t];
                }
        }
    }
}
