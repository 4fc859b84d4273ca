/* Fixed-step ensembles as one would write them by hand: the yardstick of benchmarks/run.py.

   Structure of arrays, blocks of lanes that run their whole time loop, exp as an inline polynomial that the compiler
   vectorises. speed/c_reference.py builds it for both precisions, with blocks that suit the number of lanes:
       gcc -O3 -march=native -ffast-math -fPIC -DREAL=float -DBLOCK=256 -c reference.c
   Every exported function gives the spike count of each lane and its V at every `stride`-th step. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef REAL
#define REAL float
#endif
#ifndef BLOCK
#define BLOCK 256 /* lanes; parameters and state of a block stay in the first-level cache */
#endif
#define MOST 9 /* rows of parameters or of state */
#define IS_FLOAT (sizeof(real) == 4)
typedef REAL real;

/* e^x = 2^n e^r with |r| <= ln 2 / 2; ln 2 in two parts, so that r is exact. Errors: 1e-7 (float), 1e-14 (double). */

static inline float exp_f32(float x) {
    x = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
    float n = rintf(x * 1.44269504f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static inline double exp_f64(double x) {
    x = x < -700.0 ? -700.0 : (x > 700.0 ? 700.0 : x);
    double n = rint(x * 1.4426950408889634);
    double r = x - n * 6.93147180369123816490e-01 - n * 1.90821492927058770002e-10;
    double p = 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    int64_t bits = ((int64_t)n + 1023) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static inline real EXP(real x) { return IS_FLOAT ? (real)exp_f32((float)x) : (real)exp_f64((double)x); }

/* Hodgkin & Huxley (1952), doi:10.1113/jphysiol.1952.sp004764, with the constants of NEURON's hh; mV, ms, uA/cm^2 */
typedef struct { real g_na, g_k, g_l, C, I, E_na, E_k, E_l; } hh_params;
typedef struct { real V, m, h, n; } hh_state;
typedef struct { real am, bm, ah, bh, an, bn; } hh_rates;

static inline hh_rates rates(real V) {
    hh_rates r;
    real x = (V + 40) / 10, z = (V + 55) / 10;
    r.am = x / (1 - EXP(-x));
    r.bm = 4 * EXP(-(V + 65) / 18);
    r.ah = (real)0.07 * EXP(-(V + 65) / 20);
    r.bh = 1 / (1 + EXP(-(V + 35) / 10));
    r.an = (real)0.1 * z / (1 - EXP(-z));
    r.bn = (real)0.125 * EXP(-(V + 65) / 80);
    return r;
}

static inline real g_na(hh_state y, hh_params p) { return p.g_na * y.m * y.m * y.m * y.h; }
static inline real g_k(hh_state y, hh_params p) { real n2 = y.n * y.n; return p.g_k * n2 * n2; }

static inline hh_state slope(hh_state y, hh_params p) {
    hh_rates r = rates(y.V);
    hh_state d;
    d.V = (p.I - g_na(y, p) * (y.V - p.E_na) - g_k(y, p) * (y.V - p.E_k) - p.g_l * (y.V - p.E_l)) / p.C;
    d.m = r.am * (1 - y.m) - r.bm * y.m;
    d.h = r.ah * (1 - y.h) - r.bh * y.h;
    d.n = r.an * (1 - y.n) - r.bn * y.n;
    return d;
}

static inline hh_state plus(hh_state y, real h, hh_state d) {
    hh_state s = {y.V + h * d.V, y.m + h * d.m, y.h + h * d.h, y.n + h * d.n};
    return s;
}

/* Each variable exactly, the others held: x_inf + (x - x_inf) e^(-h / tau) */
static inline real relaxed_V(hh_state y, hh_params p, real h) {
    real na = g_na(y, p), k = g_k(y, p), g = na + k + p.g_l;
    real V_inf = (p.I + na * p.E_na + k * p.E_k + p.g_l * p.E_l) / g;
    return V_inf + (y.V - V_inf) * EXP(-h * g / p.C);
}

static inline real relaxed(real x, real a, real b, real h) {
    real sum = a + b, x_inf = a / sum;
    return x_inf + (x - x_inf) * EXP(-h * sum);
}

static inline hh_state relaxed_gates(hh_state y, real h) {
    hh_rates r = rates(y.V);
    hh_state s = {y.V, relaxed(y.m, r.am, r.bm, h), relaxed(y.h, r.ah, r.bh, h), relaxed(y.n, r.an, r.bn, h)};
    return s;
}

static inline hh_state step_euler(hh_state y, hh_params p, real h) { return plus(y, h, slope(y, p)); }

static inline hh_state step_exponential_euler(hh_state y, hh_params p, real h) {
    hh_state s = relaxed_gates(y, h);
    s.V = relaxed_V(y, p, h);
    return s;
}

static inline hh_state step_strang(hh_state y, hh_params p, real h) {
    y.V = relaxed_V(y, p, h / 2);
    y = relaxed_gates(y, h);
    y.V = relaxed_V(y, p, h / 2);
    return y;
}

static inline hh_state step_rk4(hh_state y, hh_params p, real h) {
    hh_state a = slope(y, p), b = slope(plus(y, h / 2, a), p), c = slope(plus(y, h / 2, b), p);
    hh_state d = slope(plus(y, h, c), p);
    hh_state sum = {a.V + 2 * b.V + 2 * c.V + d.V, a.m + 2 * b.m + 2 * c.m + d.m, a.h + 2 * b.h + 2 * c.h + d.h,
                    a.n + 2 * b.n + 2 * c.n + d.n};
    return plus(y, h / 6, sum);
}

/* One step of a block of lanes: rows of P are parameters, rows of Y the state. */
#define LANES for (int i = 0; i < BLOCK; i++)
typedef void stepper(const real (*restrict P)[BLOCK], real (*restrict Y)[BLOCK], real *restrict spikes, real h);

#define HH(NAME, STEP)                                                                                               \
    static __attribute__((noinline)) void NAME##_block(const real (*restrict P)[BLOCK], real (*restrict Y)[BLOCK],  \
                                                       real *restrict spikes, real h) {                             \
        LANES {                                                                                                     \
            hh_params p = {P[0][i], P[1][i], P[2][i], P[3][i], P[4][i], P[5][i], P[6][i], P[7][i]};                 \
            hh_state y = {Y[0][i], Y[1][i], Y[2][i], Y[3][i]};                                                      \
            hh_state next = STEP(y, p, h);                                                                          \
            spikes[i] += (y.V < 0) & (next.V >= 0) ? (real)1 : (real)0;                                             \
            Y[0][i] = next.V, Y[1][i] = next.m, Y[2][i] = next.h, Y[3][i] = next.n;                                 \
        }                                                                                                           \
    }

HH(hh_euler, step_euler)
HH(hh_exponential_euler, step_exponential_euler)
HH(hh_strang, step_strang)
HH(hh_rk4, step_rk4)

/* FitzHugh-Nagumo. P: a, b, tau, I; Y: V, w */
static __attribute__((noinline)) void fhn_rk4_block(const real (*restrict P)[BLOCK], real (*restrict Y)[BLOCK],
                                                    real *restrict spikes, real h) {
    LANES {
        real a = P[0][i], b = P[1][i], tau = P[2][i], I = P[3][i], V = Y[0][i], w = Y[1][i];
        real v1 = V - V * V * V / 3 - w + I, w1 = (V + a - b * w) / tau;
        real x2 = V + h / 2 * v1, z2 = w + h / 2 * w1;
        real v2 = x2 - x2 * x2 * x2 / 3 - z2 + I, w2 = (x2 + a - b * z2) / tau;
        real x3 = V + h / 2 * v2, z3 = w + h / 2 * w2;
        real v3 = x3 - x3 * x3 * x3 / 3 - z3 + I, w3 = (x3 + a - b * z3) / tau;
        real x4 = V + h * v3, z4 = w + h * w3;
        real v4 = x4 - x4 * x4 * x4 / 3 - z4 + I, w4 = (x4 + a - b * z4) / tau;
        real next = V + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4);
        spikes[i] += (V < 1) & (next >= 1) ? (real)1 : (real)0;
        Y[0][i] = next;
        Y[1][i] = w + h / 6 * (w1 + 2 * w2 + 2 * w3 + w4);
    }
}

/* LIF with adaptation: Euler, threshold and reset on the grid. P: tau_m, R_m, E_L, V_th, V_reset, t_ref, b_w, tau_w, I;
   Y: V, w, what is left of the refractory period */
static __attribute__((noinline)) void lif_euler_block(const real (*restrict P)[BLOCK], real (*restrict Y)[BLOCK],
                                                      real *restrict spikes, real h) {
    LANES {
        real V = Y[0][i], w = Y[1][i], left = Y[2][i];
        real next = V + h / P[0][i] * (P[2][i] - V + P[1][i] * (P[8][i] - w));
        next = left > 0 ? V : next;
        real is_spike = next >= P[3][i] ? (real)1 : (real)0;
        Y[0][i] = is_spike > 0 ? P[4][i] : next;
        Y[1][i] = w - h / P[7][i] * w + is_spike * P[6][i];
        Y[2][i] = is_spike > 0 ? P[5][i] : left - h;
        spikes[i] += is_spike;
    }
}

/* params: n_params rows of n; state: n_state rows of n; out_V: n_steps / stride rows of n */
static void run(stepper *step, int n_params, int n_state, int64_t n, int64_t n_steps, int64_t stride, real h,
                const real *params, const real *state, real *count, real *out_V) {
    for (int64_t first = 0; first < n; first += BLOCK) {
        real P[MOST][BLOCK], Y[MOST][BLOCK], spikes[BLOCK];
        int64_t width = n - first < BLOCK ? n - first : BLOCK;
        for (int r = 0; r < n_params; r++) LANES P[r][i] = params[r * n + first + (i < width ? i : width - 1)];
        for (int r = 0; r < n_state; r++) LANES Y[r][i] = state[r * n + first + (i < width ? i : width - 1)];
        memset(spikes, 0, sizeof spikes);
        for (int64_t k = 0; k < n_steps; k++) {
            step((const real(*)[BLOCK])P, Y, spikes, h);
            if ((k + 1) % stride == 0)
                memcpy(out_V + ((k + 1) / stride - 1) * n + first, Y[0], width * sizeof(real));
        }
        memcpy(count + first, spikes, width * sizeof(real));
    }
}

#define EXPORT(NAME, N_PARAMS, N_STATE)                                                                            \
    void NAME(int64_t n, int64_t n_steps, int64_t stride, real h, const real *params, const real *state,           \
              real *count, real *out_V) {                                                                          \
        run(NAME##_block, N_PARAMS, N_STATE, n, n_steps, stride, h, params, state, count, out_V);                  \
    }

EXPORT(hh_euler, 8, 4)
EXPORT(hh_exponential_euler, 8, 4)
EXPORT(hh_strang, 8, 4)
EXPORT(hh_rk4, 8, 4)
EXPORT(fhn_rk4, 4, 2)
EXPORT(lif_euler, 9, 3)
