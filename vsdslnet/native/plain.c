/*
 * Plain  (internal) R'G'B' frames of a display with a power law to PQ: light, other primaries, ST 2084; and the light
 *        of what comes out.
 *
 * gamma, white_nits  light of a signal v (0..1) is white_nits * v^gamma, in cd/m2.
 * matrix             nine numbers, row by row: to the new primaries' linear R, G, B.
 *
 * Both curves are read from tables of straight pieces, 256 to an octave: within 1e-6 of the signal.
 */
#include "plain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rgb.h"

/* The values of a curve from 2^-OCTAVES to 1 at places whose floats differ in their upper bits alone. */
enum { STEP_BITS = 8, LOWER_BITS = 23 - STEP_BITS, OCTAVES = 40, STEPS = OCTAVES << STEP_BITS, BIAS = 127 };

typedef struct {
    float value[STEPS + 2];
} Curve;

typedef struct {
    VSNode *clip;
    VSVideoInfo vi;
    Curve light, signal;
    float matrix[9];
} Plain;

static const uint32_t FIRST_BITS = (uint32_t)(BIAS - OCTAVES) << 23;

/* Where a step of a curve begins. */
static double place_of(int step) {
    uint32_t bits = FIRST_BITS + ((uint32_t)step << LOWER_BITS);
    float place;
    memcpy(&place, &bits, sizeof place);
    return place;
}

/* Of 0..1; what lies before the curve's beginning has its first value, which is black. */
static inline void read_curve(const Curve *curve, float *v) {
    const float lower = 1.0f / (1 << LOWER_BITS);
    for (int i = 0; i < PIXELS; i++) {
        int32_t bits;
        memcpy(&bits, v + i, sizeof bits);
        bits -= (int32_t)FIRST_BITS;
        bits = bits > 0 ? bits : 0;
        int step = bits >> LOWER_BITS;
        float part = (float)(bits & ((1 << LOWER_BITS) - 1)) * lower;
        v[i] = curve->value[step] + part * (curve->value[step + 1] - curve->value[step]);
    }
}

static inline void change_primaries(const float *m, Pixels *p) {
    for (int i = 0; i < PIXELS; i++) {
        float r = p->r[i], g = p->g[i], b = p->b[i];
        float x = m[0] * r + m[1] * g + m[2] * b, y = m[3] * r + m[4] * g + m[5] * b;
        float z = m[6] * r + m[7] * g + m[8] * b;
        x = x > 0.0f ? x : 0.0f;
        y = y > 0.0f ? y : 0.0f;
        z = z > 0.0f ? z : 0.0f;
        p->r[i] = x < 1.0f ? x : 1.0f;
        p->g[i] = y < 1.0f ? y : 1.0f;
        p->b[i] = z < 1.0f ? z : 1.0f;
    }
}

WIDE static void convert_picture(const Plain *d, const Picture *p, Light *light) {
    Pixels pixels;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x += PIXELS) {
            int count = p->width - x < PIXELS ? p->width - x : PIXELS;
            load_pixels(p, y, x, count, &pixels);
            read_curve(&d->light, pixels.r);
            read_curve(&d->light, pixels.g);
            read_curve(&d->light, pixels.b);
            change_primaries(d->matrix, &pixels);
            read_curve(&d->signal, pixels.r);
            read_curve(&d->signal, pixels.g);
            read_curve(&d->signal, pixels.b);
            store_pixels(p, y, x, count, &pixels);
            add_light(&pixels, count, light);
        }
}

static const VSFrame *VS_CC plain_get_frame(int n, int activation_reason, void *instance, void **frame_data,
                                            VSFrameContext *context, VSCore *core, const VSAPI *vsapi) {
    (void)frame_data;
    const Plain *d = instance;
    if (activation_reason == arInitial)
        vsapi->requestFrameFilter(n, d->clip, context);
    if (activation_reason != arAllFramesReady)
        return NULL;
    VSFrame *frame = take_writable(n, d->clip, context, core, vsapi);
    Picture picture = picture_of(frame, &d->vi, vsapi);
    Light light = {0};
    convert_picture(d, &picture, &light);
    set_light(frame, &light, (double)d->vi.width * d->vi.height, vsapi);
    return frame;
}

static void VS_CC plain_free(void *instance, VSCore *core, const VSAPI *vsapi) {
    (void)core;
    Plain *d = instance;
    vsapi->freeNode(d->clip);
    free(d);
}

static void VS_CC plain_create(const VSMap *in, VSMap *out, void *user_data, VSCore *core, const VSAPI *vsapi) {
    (void)user_data;
    Plain *d = malloc(sizeof *d);
    if (!d) {
        vsapi->mapSetError(out, "dslnet.Plain: out of memory");
        return;
    }
    d->clip = vsapi->mapGetNode(in, "clip", 0, NULL);
    d->vi = *vsapi->getVideoInfo(d->clip);
    double gamma = vsapi->mapGetFloat(in, "gamma", 0, NULL), white_nits = vsapi->mapGetFloat(in, "white_nits", 0, NULL);
    const char *error = !is_rgb48_or_rgbs(&d->vi) ? "dslnet.Plain: clip must be RGB48 or RGBS of a constant size"
                        : vsapi->mapNumElements(in, "matrix") != 9 ? "dslnet.Plain: matrix must have nine numbers"
                        : !(gamma > 0 && white_nits > 0 && white_nits <= 10000)
                            ? "dslnet.Plain: gamma and white_nits must be above 0, white_nits at most 10000"
                            : NULL;
    if (error) {
        vsapi->mapSetError(out, error);
        plain_free(d, core, vsapi);
        return;
    }
    for (int i = 0; i < 9; i++)
        d->matrix[i] = (float)(vsapi->mapGetFloat(in, "matrix", i, NULL) * white_nits / 10000);
    for (int step = 0; step <= STEPS; step++) {
        d->light.value[step] = (float)pow(place_of(step), gamma);
        d->signal.value[step] = (float)nits_to_pq(10000 * place_of(step));
    }
    d->light.value[0] = d->signal.value[0] = 0;
    d->light.value[STEPS + 1] = d->light.value[STEPS];
    d->signal.value[STEPS + 1] = d->signal.value[STEPS];
    VSFilterDependency reads[] = {{d->clip, rpStrictSpatial}};
    vsapi->createVideoFilter(out, "Plain", &d->vi, plain_get_frame, plain_free, fmParallel, reads, 1, d, core);
}

void register_plain(VSPlugin *plugin, const VSPLUGINAPI *vspapi) {
    vspapi->registerFunction("Plain", "clip:vnode;gamma:float;white_nits:float;matrix:float[];", "clip:vnode;",
                             plain_create, NULL, plugin);
}
