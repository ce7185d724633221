/* What all kernels share: the export mark, clones for wider vector units, and an exponential that compilers vectorize.
 *
 * Plain C99 and a plain C interface: 64-bit integers, contiguous arrays of doubles in row-major order, no allocation,
 * no global state.  Built without reassociation and without contraction, so that every machine computes the same bits
 * whatever the width of its vectors (products.c is the exception and says so).
 */
#ifndef LATENTEM_H
#define LATENTEM_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* One binary with a version for each vector unit; the dynamic loader picks.  It needs glibc's indirect functions. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(LATENTEM_NO_CLONES)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

#if defined(__GNUC__) || defined(__clang__)
#define INLINE static inline __attribute__((always_inline))
#define APART static __attribute__((noinline))
#else
#define INLINE static inline
#define APART static
#endif

/* exp(x) for x <= 0, without branches: x = n ln 2 + r with |r| <= ln(2)/2, then 1 + r + r^2 P(r), and n added to the
 * exponent bits.  P has degree 9 and meets (exp(r) - 1 - r) / r^2 at the ten Chebyshev nodes of that interval; exp is then
 * off by at most 1.6e-17 in exact arithmetic, and within one unit in the last place in this one (tests/kernels measure
 * it).  Below -708 the result is zero.
 *
 * ln 2 is split so that n times its upper part is exact.  Adding 3 * 2^51 rounds to an integer and leaves it in the low
 * bits. */
INLINE double exp_nonpositive(double x) {
    const double shift = 6755399441055744.0;
    const double kept = x < -708.0 ? -708.0 : x;
    const double shifted = kept * 1.4426950408889634 + shift;
    const double n = shifted - shift;
    const double r = (kept - n * 0.6931471803691238) - n * 1.9082149292705877e-10;
    double p = 2.510038549551032e-08;
    p = p * r + 2.7620088445409746e-07;
    p = p * r + 2.7557268459997064e-06;
    p = p * r + 2.4801521295954376e-05;
    p = p * r + 0.00019841269863053618;
    p = p * r + 0.0013888888917213717;
    p = p * r + 0.008333333333330062;
    p = p * r + 0.04166666666662413;
    p = p * r + 0.16666666666666669;
    p = p * r + 0.5000000000000001;
    p = 1.0 + (r + (r * r) * p);
    uint64_t bits, power;
    memcpy(&bits, &p, sizeof bits);
    memcpy(&power, &shifted, sizeof power);
    bits += power << 52;
    memcpy(&p, &bits, sizeof p);
    return x < -708.0 ? 0.0 : p;
}

/* A running sum that keeps what rounding took (Neumaier 1974). */
typedef struct {
    double sum, lost;
} Accumulator;

INLINE void accumulate(Accumulator *total, double value) {
    const double next = total->sum + value;
    total->lost += fabs(total->sum) >= fabs(value) ? (total->sum - next) + value : (value - next) + total->sum;
    total->sum = next;
}

#endif
