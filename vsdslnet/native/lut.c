/*
 * Lut  (internal) frames through 3D LUTs, read tetrahedrally, and the light of what comes out.
 *
 * clip      R'G'B' (RGB48, RGBS), full range; or YUV444P16, limited range, which comes with BT.709's matrix and goes
 *           with BT.2020's (non-constant luminance): resize then has nothing to multiply on either side.
 * keys      a clip as long as the first one; its frames' DSLNetKeys names the one or two frames of `lattices` whose
 *           LUTs serve a frame, DSLNetShares how much of each.
 * lattices  its frames carry DSLNetLattice: float[3][S][S][S], red along the last axis, values of 0..1.
 *
 * Two LUTs are mixed before they are read: the result is the same, and a frame is read once.
 */
#include "lut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rgb.h"

#if defined(__SSE__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

enum { MOST_KEYS = 2, LEAST_SIDE = 2, MOST_SIDE = 129, NODE = 4 /* floats, the last one unused */ };

typedef struct {
    VSNode *clip, *keys, *lattices;
    VSVideoInfo vi;
} Lut;

/* The tetrahedron that a pixel lies in: its first node, what leads from there to the other three, and the share of
 * each of the four. */
typedef struct {
    int node[PIXELS], second[PIXELS], third[PIXELS];
    float share[4][PIXELS];
} Tetrahedra;

static inline void find_tetrahedra(const Pixels *in, int side, Tetrahedra *t) {
    const int red = NODE, green = NODE * side, blue = NODE * side * side, all = red + green + blue;
    const float scale = (float)(side - 1);
    const int last = side - 2;
    for (int i = 0; i < PIXELS; i++) {
        float r = in->r[i] * scale, g = in->g[i] * scale, b = in->b[i] * scale;
        int ri = (int)r, gi = (int)g, bi = (int)b;
        ri = ri < last ? ri : last;
        gi = gi < last ? gi : last;
        bi = bi < last ? bi : last;
        r -= (float)ri;
        g -= (float)gi;
        b -= (float)bi;
        float rg_most = r > g ? r : g, rg_least = r > g ? g : r;
        float most = rg_most > b ? rg_most : b, least = rg_least < b ? rg_least : b;
        float middle = r + g + b - most - least;
        /* The way to the far corner goes along the axis of the largest part first and of the smallest last. */
        int rg_first = r > g ? red : green, rg_last = red + green - rg_first;
        int first_axis = b > rg_most ? blue : rg_first;
        int last_axis = b > rg_least ? rg_last : blue;
        t->node[i] = ri * red + gi * green + bi * blue;
        t->second[i] = first_axis;
        t->third[i] = all - last_axis;
        t->share[0][i] = 1.0f - most;
        t->share[1][i] = most - middle;
        t->share[2][i] = middle - least;
        t->share[3][i] = least;
    }
}

/* Rounding may leave 0..1 by a little. */
static inline float within_0_1(float v) {
    float low = v > 0.0f ? v : 0.0f;
    return low < 1.0f ? low : 1.0f;
}

#if defined(__SSE__) || defined(_M_X64)
static inline __m128 shared(const float *node, float share) {
    return _mm_mul_ps(_mm_set1_ps(share), _mm_loadu_ps(node));
}

/* What the LUT says of a pixel. A node is a vector of its own: the one thing here that compilers do not find. */
static inline __m128 read_pixel(const float *lattice, int fourth, const Tetrahedra *t, int i) {
    const float *a = lattice + t->node[i], *b = a + t->second[i], *c = a + t->third[i], *d = a + fourth;
    __m128 near = _mm_add_ps(shared(a, t->share[0][i]), shared(b, t->share[1][i]));
    return _mm_add_ps(near, _mm_add_ps(shared(c, t->share[2][i]), shared(d, t->share[3][i])));
}

static inline void read_lattice(const float *lattice, int side, const Tetrahedra *t, Pixels *out) {
    const int fourth = NODE * (1 + side + side * side);
    const __m128 least = _mm_setzero_ps(), most = _mm_set1_ps(1.0f);
    for (int i = 0; i < PIXELS; i += 4) {
        __m128 r = read_pixel(lattice, fourth, t, i), g = read_pixel(lattice, fourth, t, i + 1);
        __m128 b = read_pixel(lattice, fourth, t, i + 2), unused = read_pixel(lattice, fourth, t, i + 3);
        _MM_TRANSPOSE4_PS(r, g, b, unused); /* from four pixels to the channels of four */
        _mm_storeu_ps(out->r + i, _mm_min_ps(_mm_max_ps(r, least), most));
        _mm_storeu_ps(out->g + i, _mm_min_ps(_mm_max_ps(g, least), most));
        _mm_storeu_ps(out->b + i, _mm_min_ps(_mm_max_ps(b, least), most));
    }
}
#else
static inline void read_lattice(const float *lattice, int side, const Tetrahedra *t, Pixels *out) {
    const int fourth = NODE * (1 + side + side * side);
    float *channel[3] = {out->r, out->g, out->b};
    for (int i = 0; i < PIXELS; i++) {
        const float *a = lattice + t->node[i], *b = a + t->second[i], *c = a + t->third[i], *d = a + fourth;
        float wa = t->share[0][i], wb = t->share[1][i], wc = t->share[2][i], wd = t->share[3][i];
        for (int k = 0; k < 3; k++)
            channel[k][i] = within_0_1((wa * a[k] + wb * b[k]) + (wc * c[k] + wd * d[k]));
    }
}
#endif

/* Codes of limited range in 16 bits (BT.709-6 and BT.2020-2 give them for 8, 10 and 12): black, and the steps from
 * there to white, from the least chroma to the most. */
static const float BLACK = 16 << 8, LUMA_STEPS = 219 << 8, GREY = 128 << 8, CHROMA_STEPS = 224 << 8;

/* Codes of 16 bits over 65535, as load_pixels() gives Y', Cb and Cr with BT.709's matrix (items 3.2 and 3.3) -> R'G'B' of
 * 0..1, in place. */
static inline void to_rgb(Pixels *p) {
    const float kr = 0.2126f, kb = 0.0722f, kg = 1.0f - kr - kb;
    const float red_of_cr = 2.0f * (1.0f - kr), blue_of_cb = 2.0f * (1.0f - kb);
    const float green_of_cr = kr * red_of_cr / kg, green_of_cb = kb * blue_of_cb / kg;
    const float luma_scale = 65535.0f / LUMA_STEPS, chroma_scale = 65535.0f / CHROMA_STEPS;
    const float black = BLACK / LUMA_STEPS, grey = GREY / CHROMA_STEPS;
    for (int i = 0; i < PIXELS; i++) {
        float luma = p->r[i] * luma_scale - black;
        float cb = p->g[i] * chroma_scale - grey, cr = p->b[i] * chroma_scale - grey;
        p->r[i] = within_0_1(luma + red_of_cr * cr);
        p->g[i] = within_0_1(luma - green_of_cb * cb - green_of_cr * cr);
        p->b[i] = within_0_1(luma + blue_of_cb * cb);
    }
}

/* The other way, with BT.2020's matrix (table 4, non-constant luminance), for store_pixels(). */
static inline void to_yuv(Pixels *p) {
    const float kr = 0.2627f, kb = 0.0593f, kg = 1.0f - kr - kb;
    const float luma_scale = LUMA_STEPS / 65535.0f, chroma_scale = CHROMA_STEPS / 65535.0f;
    const float black = BLACK / 65535.0f, grey = GREY / 65535.0f;
    const float cb_scale = 0.5f / (1.0f - kb) * chroma_scale, cr_scale = 0.5f / (1.0f - kr) * chroma_scale;
    for (int i = 0; i < PIXELS; i++) {
        float luma = kr * p->r[i] + kg * p->g[i] + kb * p->b[i];
        float cb = (p->b[i] - luma) * cb_scale, cr = (p->r[i] - luma) * cr_scale;
        p->r[i] = luma * luma_scale + black;
        p->g[i] = cb + grey;
        p->b[i] = cr + grey;
    }
}

WIDE static void apply(const Picture *p, int is_yuv, const float *lattice, int side, Light *light) {
    Pixels pixels;
    Tetrahedra tetrahedra;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x += PIXELS) {
            int count = p->width - x < PIXELS ? p->width - x : PIXELS;
            load_pixels(p, y, x, count, &pixels);
            if (is_yuv)
                to_rgb(&pixels);
            find_tetrahedra(&pixels, side, &tetrahedra);
            read_lattice(lattice, side, &tetrahedra, &pixels);
            add_light(&pixels, count, light);
            if (is_yuv)
                to_yuv(&pixels);
            store_pixels(p, y, x, count, &pixels);
        }
}

/* Adds a LUT's share to nodes of NODE floats. */
static void mix(float *nodes, const char *lattice, int side, float share) {
    size_t count = (size_t)side * side * side;
    for (int c = 0; c < 3; c++)
        for (size_t i = 0; i < count; i++) {
            float value; /* a property's data need not lie where floats may */
            memcpy(&value, lattice + (c * count + i) * sizeof value, sizeof value);
            nodes[i * NODE + c] += share * value;
        }
}

/* The side of a LUT of so many bytes, or 0 if none has that many. */
static int side_of(int bytes) {
    for (int side = LEAST_SIDE; side <= MOST_SIDE; side++)
        if ((int64_t)bytes == (int64_t)sizeof(float) * 3 * side * side * side)
            return side;
    return 0;
}

/* The frame's LUT, mixed, which the caller frees; or NULL and why. */
static float *mixed_lattice(const Lut *d, const VSMap *keys, VSFrameContext *context, int *side, const char **error,
                            const VSAPI *vsapi) {
    float *nodes = NULL;
    int count = vsapi->mapNumElements(keys, "DSLNetKeys");
    *side = 0;
    for (int k = 0; k < count; k++) {
        int unset = 0;
        const VSFrame *frame =
            vsapi->getFrameFilter(vsapi->mapGetIntSaturated(keys, "DSLNetKeys", k, NULL), d->lattices, context);
        const VSMap *properties = vsapi->getFramePropertiesRO(frame);
        const char *data = vsapi->mapGetData(properties, "DSLNetLattice", 0, &unset);
        int mine = unset ? 0 : side_of(vsapi->mapGetDataSize(properties, "DSLNetLattice", 0, &unset));
        float share = (float)vsapi->mapGetFloat(keys, "DSLNetShares", k, &unset);
        if (!mine || (k && mine != *side) || unset)
            *error = "a key frame carries no lattice";
        else if (!nodes && !(nodes = calloc((size_t)mine * mine * mine * NODE, sizeof *nodes)))
            *error = "out of memory";
        else
            mix(nodes, data, *side = mine, share);
        vsapi->freeFrame(frame);
        if (*error) {
            free(nodes);
            return NULL;
        }
    }
    return nodes;
}

static const VSFrame *VS_CC lut_get_frame(int n, int activation_reason, void *instance, void **frame_data,
                                          VSFrameContext *context, VSCore *core, const VSAPI *vsapi) {
    const Lut *d = instance;
    if (activation_reason == arInitial) {
        vsapi->requestFrameFilter(n, d->keys, context);
        return NULL;
    }
    if (activation_reason != arAllFramesReady)
        return NULL;
    const VSFrame *key_frame = vsapi->getFrameFilter(n, d->keys, context);
    const VSMap *keys = vsapi->getFramePropertiesRO(key_frame);
    if (!*frame_data) {
        *frame_data = (void *)d; /* anything but NULL: the keys are known from now on */
        int count = vsapi->mapNumElements(keys, "DSLNetKeys");
        if (count < 1 || count > MOST_KEYS) {
            vsapi->setFilterError("dslnet.Lut: a frame needs one or two DSLNetKeys", context);
        } else {
            for (int k = 0; k < count; k++)
                vsapi->requestFrameFilter(vsapi->mapGetIntSaturated(keys, "DSLNetKeys", k, NULL), d->lattices, context);
            vsapi->requestFrameFilter(n, d->clip, context);
        }
        vsapi->freeFrame(key_frame);
        return NULL;
    }
    int side;
    const char *error = NULL;
    float *lattice = mixed_lattice(d, keys, context, &side, &error, vsapi);
    vsapi->freeFrame(key_frame);
    if (!lattice) {
        char text[128];
        snprintf(text, sizeof text, "dslnet.Lut: frame %d: %s", n, error);
        vsapi->setFilterError(text, context);
        return NULL;
    }
    VSFrame *frame = take_writable(n, d->clip, context, core, vsapi);
    Picture picture = picture_of(frame, &d->vi, vsapi);
    Light light = {0};
    apply(&picture, d->vi.format.colorFamily == cfYUV, lattice, side, &light);
    free(lattice);
    set_light(frame, &light, (double)d->vi.width * d->vi.height, vsapi);
    return frame;
}

static void VS_CC lut_free(void *instance, VSCore *core, const VSAPI *vsapi) {
    (void)core;
    Lut *d = instance;
    vsapi->freeNode(d->clip);
    vsapi->freeNode(d->keys);
    vsapi->freeNode(d->lattices);
    free(d);
}

static int is_yuv444p16(const VSVideoInfo *vi) {
    const VSVideoFormat *format = &vi->format;
    return format->colorFamily == cfYUV && format->sampleType == stInteger && format->bitsPerSample == 16 &&
           !format->subSamplingW && !format->subSamplingH && vi->width > 0 && vi->height > 0;
}

static void VS_CC lut_create(const VSMap *in, VSMap *out, void *user_data, VSCore *core, const VSAPI *vsapi) {
    (void)user_data;
    Lut *d = malloc(sizeof *d);
    if (!d) {
        vsapi->mapSetError(out, "dslnet.Lut: out of memory");
        return;
    }
    d->clip = vsapi->mapGetNode(in, "clip", 0, NULL);
    d->keys = vsapi->mapGetNode(in, "keys", 0, NULL);
    d->lattices = vsapi->mapGetNode(in, "lattices", 0, NULL);
    d->vi = *vsapi->getVideoInfo(d->clip);
    if (!is_rgb48_or_rgbs(&d->vi) && !is_yuv444p16(&d->vi)) {
        vsapi->mapSetError(out, "dslnet.Lut: clip must be RGB48, RGBS or YUV444P16 of a constant size");
        lut_free(d, core, vsapi);
        return;
    }
    VSFilterDependency reads[] = {{d->clip, rpStrictSpatial}, {d->keys, rpStrictSpatial}, {d->lattices, rpGeneral}};
    vsapi->createVideoFilter(out, "Lut", &d->vi, lut_get_frame, lut_free, fmParallel, reads, 3, d, core);
}

void register_lut(VSPlugin *plugin, const VSPLUGINAPI *vspapi) {
    vspapi->registerFunction("Lut", "clip:vnode;keys:vnode;lattices:vnode;", "clip:vnode;", lut_create, NULL, plugin);
}
