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
    PqTable table;
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

/* A node is a vector of its own: the one thing here that compilers do not find by themselves. */
static inline void read_lattice(const float *lattice, int side, const Tetrahedra *t, float value[PIXELS][NODE]) {
    const int fourth = NODE * (1 + side + side * side);
    for (int i = 0; i < PIXELS; i++) {
        const float *a = lattice + t->node[i], *b = a + t->second[i], *c = a + t->third[i], *d = a + fourth;
        float wa = t->share[0][i], wb = t->share[1][i], wc = t->share[2][i], wd = t->share[3][i];
#if defined(__SSE__) || defined(_M_X64)
        __m128 of_a = _mm_mul_ps(_mm_set1_ps(wa), _mm_loadu_ps(a)), of_b = _mm_mul_ps(_mm_set1_ps(wb), _mm_loadu_ps(b));
        __m128 of_c = _mm_mul_ps(_mm_set1_ps(wc), _mm_loadu_ps(c)), of_d = _mm_mul_ps(_mm_set1_ps(wd), _mm_loadu_ps(d));
        _mm_storeu_ps(value[i], _mm_add_ps(_mm_add_ps(of_a, of_b), _mm_add_ps(of_c, of_d)));
#else
        for (int k = 0; k < NODE; k++)
            value[i][k] = (wa * a[k] + wb * b[k]) + (wc * c[k] + wd * d[k]);
#endif
    }
}

/* Rounding may leave 0..1 by a little. */
static inline float within_0_1(float v) {
    float low = v > 0.0f ? v : 0.0f;
    return low < 1.0f ? low : 1.0f;
}

static inline void apart(float value[PIXELS][NODE], Pixels *out) {
    for (int i = 0; i < PIXELS; i++) {
        out->r[i] = within_0_1(value[i][0]);
        out->g[i] = within_0_1(value[i][1]);
        out->b[i] = within_0_1(value[i][2]);
    }
}

WIDE static void apply(const Picture *p, const float *lattice, int side, const PqTable *table, Light *light) {
    Pixels pixels;
    Tetrahedra tetrahedra;
    float value[PIXELS][NODE];
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x += PIXELS) {
            int count = p->width - x < PIXELS ? p->width - x : PIXELS;
            load_pixels(p, y, x, count, &pixels);
            find_tetrahedra(&pixels, side, &tetrahedra);
            read_lattice(lattice, side, &tetrahedra, value);
            apart(value, &pixels);
            store_pixels(p, y, x, count, &pixels);
            add_light(table, &pixels, count, light);
        }
}

/* Codes of limited range in 16 bits (BT.709-6 and BT.2020-2 give them for 8, 10 and 12): black, and the steps from
 * there to white, from the least chroma to the most. */
static const float BLACK = 16 << 8, LUMA_STEPS = 219 << 8, GREY = 128 << 8, CHROMA_STEPS = 224 << 8;

static inline float within_16_bits(float v) {
    float low = v > 0.0f ? v : 0.0f;
    return low < 65535.0f ? low : 65535.0f;
}

/* Y'CbCr with BT.709's matrix (item 3.2 and 3.3) -> R'G'B' of 0..1. */
static inline void load_yuv(const Picture *p, int y, int x, int count, Pixels *to) {
    const float kr = 0.2126f, kb = 0.0722f, kg = 1.0f - kr - kb;
    const float red_of_cr = 2.0f * (1.0f - kr), blue_of_cb = 2.0f * (1.0f - kb);
    const float green_of_cr = kr * red_of_cr / kg, green_of_cb = kb * blue_of_cb / kg;
    const uint16_t *luma = (const uint16_t *)(p->in[0] + y * p->in_stride[0]) + x;
    const uint16_t *blue = (const uint16_t *)(p->in[1] + y * p->in_stride[1]) + x;
    const uint16_t *red = (const uint16_t *)(p->in[2] + y * p->in_stride[2]) + x;
    for (int i = 0; i < count; i++) {
        float light = ((float)luma[i] - BLACK) * (1.0f / LUMA_STEPS);
        float cb = ((float)blue[i] - GREY) * (1.0f / CHROMA_STEPS), cr = ((float)red[i] - GREY) * (1.0f / CHROMA_STEPS);
        to->r[i] = within_0_1(light + red_of_cr * cr);
        to->g[i] = within_0_1(light - green_of_cb * cb - green_of_cr * cr);
        to->b[i] = within_0_1(light + blue_of_cb * cb);
    }
    for (int i = count; i < PIXELS; i++)
        to->r[i] = to->g[i] = to->b[i] = 0.0f;
}

/* R'G'B' of 0..1 -> Y'CbCr with BT.2020's matrix (table 4, non-constant luminance). */
static inline void store_yuv(const Picture *p, int y, int x, int count, const Pixels *from) {
    const float kr = 0.2627f, kb = 0.0593f, kg = 1.0f - kr - kb;
    uint16_t *luma = (uint16_t *)(p->out[0] + y * p->out_stride[0]) + x;
    uint16_t *blue = (uint16_t *)(p->out[1] + y * p->out_stride[1]) + x;
    uint16_t *red = (uint16_t *)(p->out[2] + y * p->out_stride[2]) + x;
    for (int i = 0; i < count; i++) {
        float light = kr * from->r[i] + kg * from->g[i] + kb * from->b[i];
        float cb = (from->b[i] - light) * (0.5f / (1.0f - kb)), cr = (from->r[i] - light) * (0.5f / (1.0f - kr));
        luma[i] = (uint16_t)(int)within_16_bits(light * LUMA_STEPS + (BLACK + 0.5f));
        blue[i] = (uint16_t)(int)within_16_bits(cb * CHROMA_STEPS + (GREY + 0.5f));
        red[i] = (uint16_t)(int)within_16_bits(cr * CHROMA_STEPS + (GREY + 0.5f));
    }
}

WIDE static void apply_yuv(const Picture *p, const float *lattice, int side, const PqTable *table, Light *light) {
    Pixels pixels;
    Tetrahedra tetrahedra;
    float value[PIXELS][NODE];
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x += PIXELS) {
            int count = p->width - x < PIXELS ? p->width - x : PIXELS;
            load_yuv(p, y, x, count, &pixels);
            find_tetrahedra(&pixels, side, &tetrahedra);
            read_lattice(lattice, side, &tetrahedra, value);
            apart(value, &pixels);
            store_yuv(p, y, x, count, &pixels);
            add_light(table, &pixels, count, light);
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
    (d->vi.format.colorFamily == cfYUV ? apply_yuv : apply)(&picture, lattice, side, &d->table, &light);
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
    fill_pq_table(&d->table);
    VSFilterDependency reads[] = {{d->clip, rpStrictSpatial}, {d->keys, rpStrictSpatial}, {d->lattices, rpGeneral}};
    vsapi->createVideoFilter(out, "Lut", &d->vi, lut_get_frame, lut_free, fmParallel, reads, 3, d, core);
}

void register_lut(VSPlugin *plugin, const VSPLUGINAPI *vspapi) {
    vspapi->registerFunction("Lut", "clip:vnode;keys:vnode;lattices:vnode;", "clip:vnode;", lut_create, NULL, plugin);
}
