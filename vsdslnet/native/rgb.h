/*
 * R'G'B' frames a few pixels at a time: loaded as floats of 0..1, stored again, their light measured.
 *
 * Planes are 16-bit integers (full range) or 32-bit floats. All loops are plain ones that a compiler turns into
 * vector instructions; a function marked WIDE is compiled for newer processors as well where the compiler can choose
 * between such versions when the library is loaded. Sums have a fixed order: a frame's numbers depend on nothing else.
 */
#ifndef VSDSLNET_RGB_H
#define VSDSLNET_RGB_H

#include <stddef.h>
#include <stdint.h>

#include "VapourSynth4.h"

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDE
#endif

enum { PIXELS = 256, LANES = 16 };

/* Some pixels of a row. */
typedef struct {
    float r[PIXELS], g[PIXELS], b[PIXELS];
} Pixels;

/* The planes of a frame, to read and to write (which may be the same memory). */
typedef struct {
    const uint8_t *in[3];
    uint8_t *out[3];
    ptrdiff_t in_stride[3], out_stride[3];
    int width, height, is_float;
} Picture;

/* What has been seen of a frame's light: the largest PQ signal, and the sum of all pixels' light in cd/m2, each
 * pixel's being that of its brightest channel (CTA-861.3 annex P). */
typedef struct {
    float largest;
    double sum_nits;
} Light;

double pq_to_nits(double signal);
double nits_to_pq(double nits);

/* Whether a clip is one of R'G'B' planes that the functions here take. */
int is_rgb48_or_rgbs(const VSVideoInfo *vi);

/* Takes a frame that the context holds, and gives one whose pixels may be written: without a copy, if nobody else
 * holds them. */
VSFrame *take_writable(int n, VSNode *node, VSFrameContext *context, VSCore *core, const VSAPI *vsapi);
Picture picture_of(VSFrame *frame, const VSVideoInfo *vi, const VSAPI *vsapi);

/* Writes what was measured of `pixels` pixels into DSLNetMaxNits and DSLNetAverageNits. */
void set_light(VSFrame *frame, const Light *light, double pixels, const VSAPI *vsapi);

/* Values of 0..1: NaN is 0, what is beyond is the nearer end. */
static inline void load_pixels(const Picture *p, int y, int x, int count, Pixels *to) {
    float *channel[3] = {to->r, to->g, to->b};
    for (int c = 0; c < 3; c++) {
        const uint8_t *row = p->in[c] + y * p->in_stride[c];
        float *v = channel[c];
        if (p->is_float) {
            const float *from = (const float *)row + x;
            for (int i = 0; i < count; i++) {
                float value = from[i], low = value > 0.0f ? value : 0.0f;
                v[i] = low < 1.0f ? low : 1.0f;
            }
        } else {
            const uint16_t *from = (const uint16_t *)row + x;
            for (int i = 0; i < count; i++)
                v[i] = (float)from[i] * (1.0f / 65535.0f);
        }
        for (int i = count; i < PIXELS; i++)
            v[i] = 0.0f;
    }
}

static inline void store_pixels(const Picture *p, int y, int x, int count, const Pixels *from) {
    const float *channel[3] = {from->r, from->g, from->b};
    for (int c = 0; c < 3; c++) {
        uint8_t *row = p->out[c] + y * p->out_stride[c];
        const float *v = channel[c];
        if (p->is_float) {
            float *to = (float *)row + x;
            for (int i = 0; i < count; i++)
                to[i] = v[i];
        } else {
            uint16_t *to = (uint16_t *)row + x;
            for (int i = 0; i < count; i++)
                to[i] = (uint16_t)(int)(v[i] * 65535.0f + 0.5f);
        }
    }
}

/* pq_to_nits() as the square of a rational function, without a division of doubles or a power: within 3e-5 of itself
 * and 0.01 cd/m2 together, black exactly black. */
static inline float light_of(float signal) {
    float over = signal * (8.4420141f + signal * (6381.19443f + signal * (508063.579f + signal * (2283295.5f +
                 signal * (1924713.56f + signal * 736923.547f)))));
    float under = 1.0f + signal * (1237.55862f + signal * (126295.756f + signal * (79326.4042f + signal * (-272235.24f +
                  signal * (136267.302f - signal * 16298.34f)))));
    float root = over / under;
    return root * root;
}

/* Adds the light of `count` pixels of PQ signals; those behind them are black. */
static inline void add_light(const Pixels *pq, int count, Light *light) {
    float top[PIXELS], largest[LANES] = {0}, sum[LANES] = {0};
    for (int i = 0; i < PIXELS; i++) {
        float r = pq->r[i], g = pq->g[i], b = pq->b[i];
        float more = r > g ? r : g;
        top[i] = more > b ? more : b;
    }
    for (int i = count; i < PIXELS; i++)
        top[i] = 0.0f;
    for (int i = 0; i < PIXELS; i += LANES)
        for (int k = 0; k < LANES; k++) {
            largest[k] = top[i + k] > largest[k] ? top[i + k] : largest[k];
            sum[k] += light_of(top[i + k]);
        }
    for (int k = 0; k < LANES; k++) {
        light->largest = largest[k] > light->largest ? largest[k] : light->largest;
        light->sum_nits += sum[k];
    }
}

#endif
