/*
 * Peak  (internal) YUV frames of 9 to 16-bit integers, PQ, limited range, no pixel of which decodes above a peak.
 *
 * peak    the PQ signal that no channel may pass.
 * kr, kb  luma's weights of red and blue.
 *
 * Chroma of 4:2:0 is taken for top-left sited and for left sited, that of other subsamplings for left sited. A decoder
 * blends a pixel's chroma from its neighbours; where the sum passes the peak, luma gives way. Most of a
 * picture is nowhere near, and that is cheap to see: how far chroma lifts the largest channel over luma is convex in
 * Cb and Cr, so that no blend lifts it further than the neighbours it is made of.
 */
#include "peak.h"

#include <stdint.h>
#include <stdlib.h>

#include "rgb.h"

enum { BLOCK = 64 /* luma pixels that are judged together */, MOST_PLACES = 2 };

typedef struct {
    VSNode *clip;
    VSVideoInfo vi;
    float peak, red_of_cr, blue_of_cb, green_of_cr, green_of_cb;
    int places;
    int is_top[MOST_PLACES]; /* else chroma sits in the middle between two rows */
} Peak;

/* A frame's planes: Y, Cb, Cr. Strides are in samples. */
typedef struct {
    const uint16_t *pixels[3];
    ptrdiff_t stride[3];
    int width[3], height[3];
} Planes;

/* How far the largest of R', G', B' is over Y', of Cb and Cr of -0.5..0.5. */
static inline float above_luma(const Peak *d, float blue, float red) {
    float of_red = red * d->red_of_cr, of_blue = blue * d->blue_of_cb;
    float of_green = red * d->green_of_cr + blue * d->green_of_cb;
    float more = of_red > of_blue ? of_red : of_blue;
    return more > of_green ? more : of_green;
}

/* The largest luma code that keeps a pixel within the peak. */
static inline int highest_luma(const Peak *d, float above) {
    int bits = d->vi.format.bitsPerSample;
    float highest = (d->peak - above) * (float)(219 << (bits - 8)) + (float)(16 << (bits - 8));
    return highest > 0.0f ? (int)highest : 0;
}

/* How far the chroma samples of a row lift. */
WIDE static void row_lifts(const Peak *d, const uint16_t *blue, const uint16_t *red, int width, float *lift) {
    int bits = d->vi.format.bitsPerSample;
    float grey = (float)(128 << (bits - 8)), scale = 1.0f / (float)(224 << (bits - 8));
    for (int x = 0; x < width; x++)
        lift[x] = above_luma(d, ((float)blue[x] - grey) * scale, ((float)red[x] - grey) * scale);
}

static inline float largest_lift(const float *lift, int count) {
    float largest[LANES];
    int i = 0;
    for (int k = 0; k < LANES; k++)
        largest[k] = lift[0];
    for (; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; k++)
            largest[k] = lift[i + k] > largest[k] ? lift[i + k] : largest[k];
    for (; i < count; i++)
        largest[0] = lift[i] > largest[0] ? lift[i] : largest[0];
    for (int k = 1; k < LANES; k++)
        largest[0] = largest[k] > largest[0] ? largest[k] : largest[0];
    return largest[0];
}

/* The most that a row's samples in and beside each block of luma lift. */
WIDE static void block_lifts(const float *lift, int width, int across, int blocks, float *most) {
    for (int block = 0; block < blocks; block++) {
        int first = ((block * BLOCK) >> across) - 1, last = ((block * BLOCK + BLOCK - 1) >> across) + 1;
        first = first > 0 ? first : 0;
        last = last < width - 1 ? last : width - 1;
        most[block] = largest_lift(lift + first, last - first + 1);
    }
}

WIDE static int largest_of(const uint16_t *pixels, int count) {
    uint16_t largest = 0;
    for (int i = 0; i < count; i++)
        largest = pixels[i] > largest ? pixels[i] : largest;
    return largest;
}

/* Chroma that no luma can carry, as subsampling can leave it, is weakened until black can. */
static void weaken_row(const Peak *d, const float *lift, uint16_t *blue, uint16_t *red, int width) {
    float grey = (float)(128 << (d->vi.format.bitsPerSample - 8));
    for (int x = 0; x < width; x++)
        if (lift[x] > d->peak) {
            float share = d->peak / lift[x];
            blue[x] = (uint16_t)(((float)blue[x] - grey) * share + grey + 0.5f);
            red[x] = (uint16_t)(((float)red[x] - grey) * share + grey + 0.5f);
        }
}

/* The two rows of chroma around a row of luma, and the second one's share. */
typedef struct {
    int first, second;
    float share;
} Rows;

static inline Rows rows_around(int y, int subsampling, int is_top, int count) {
    /* In half samples of luma; one chroma sample further up, so that nothing is negative. */
    int sample = 2 << subsampling, place = sample + 2 * y + (is_top ? 0 : 1 - (1 << subsampling));
    int low = place / sample - 1, high = low + 1;
    Rows rows = {low > 0 ? low : 0, high < count ? high : count - 1, (float)(place % sample) / (float)sample};
    return rows;
}

/* Lowers the luma of a row's pixels, a block from `first` on, as far as each of the places asks for. */
WIDE static void lower_luma(const Peak *d, const Planes *p, int y, int first, int count, uint16_t *luma) {
    int bits = d->vi.format.bitsPerSample, across = d->vi.format.subSamplingW, down = d->vi.format.subSamplingH;
    int phases = 1 << across, start = first >> across, samples = (count + phases - 1) >> across;
    float grey = (float)(128 << (bits - 8)), scale = 1.0f / (float)(224 << (bits - 8));
    float blue[BLOCK + 1], red[BLOCK + 1];
    int highest[BLOCK];
    for (int place = 0; place < d->places; place++) {
        Rows rows = rows_around(y, down, d->is_top[place], p->height[1]);
        const uint16_t *above[2], *below[2];
        for (int k = 0; k < 2; k++) {
            above[k] = p->pixels[1 + k] + rows.first * p->stride[1 + k] + start;
            below[k] = p->pixels[1 + k] + rows.second * p->stride[1 + k] + start;
        }
        int last = p->width[1] - 1 - start;
        for (int i = 0; i <= samples; i++) {
            int x = i < last ? i : last;
            blue[i] = ((float)above[0][x] + rows.share * ((float)below[0][x] - (float)above[0][x]) - grey) * scale;
            red[i] = ((float)above[1][x] + rows.share * ((float)below[1][x] - (float)above[1][x]) - grey) * scale;
        }
        for (int phase = 0; phase < phases; phase++) {
            float share = (float)phase / (float)phases;
            for (int i = 0; i < samples; i++) {
                float cb = blue[i] + share * (blue[i + 1] - blue[i]), cr = red[i] + share * (red[i + 1] - red[i]);
                highest[i * phases + phase] = highest_luma(d, above_luma(d, cb, cr));
            }
        }
        for (int x = 0; x < count; x++)
            luma[first + x] = (uint16_t)(luma[first + x] < highest[x] ? luma[first + x] : highest[x]);
    }
}

static uint16_t *writable(VSFrame *frame, int plane, Planes *p, const VSAPI *vsapi) {
    uint16_t *pixels = (uint16_t *)vsapi->getWritePtr(frame, plane);
    p->pixels[plane] = pixels;
    return pixels;
}

/* `most` has room for the blocks of every chroma row, `lift` for a row of chroma. */
static void keep_within(const Peak *d, VSFrame *frame, float *most, float *lift, const VSAPI *vsapi) {
    int across = d->vi.format.subSamplingW, down = d->vi.format.subSamplingH;
    int blocks = (d->vi.width + BLOCK - 1) / BLOCK;
    Planes p;
    for (int plane = 0; plane < 3; plane++) {
        p.pixels[plane] = (const uint16_t *)vsapi->getReadPtr(frame, plane);
        p.stride[plane] = vsapi->getStride(frame, plane) / (ptrdiff_t)sizeof(uint16_t);
        p.width[plane] = vsapi->getFrameWidth(frame, plane);
        p.height[plane] = vsapi->getFrameHeight(frame, plane);
    }
    for (int y = 0; y < p.height[1]; y++) {
        row_lifts(d, p.pixels[1] + y * p.stride[1], p.pixels[2] + y * p.stride[2], p.width[1], lift);
        if ((across || down) && largest_lift(lift, p.width[1]) > d->peak) {
            uint16_t *blue = writable(frame, 1, &p, vsapi) + y * p.stride[1];
            uint16_t *red = writable(frame, 2, &p, vsapi) + y * p.stride[2];
            weaken_row(d, lift, blue, red, p.width[1]);
            row_lifts(d, blue, red, p.width[1], lift);
        }
        block_lifts(lift, p.width[1], across, blocks, most + (size_t)y * blocks);
    }
    for (int y = 0; y < p.height[0]; y++) {
        int above = (y >> down) - 1, below = (y >> down) + 1;
        above = above > 0 ? above : 0;
        below = below < p.height[1] - 1 ? below : p.height[1] - 1;
        for (int block = 0; block < blocks; block++) {
            float lifted = most[(size_t)above * blocks + block];
            for (int row = above + 1; row <= below; row++)
                lifted = most[(size_t)row * blocks + block] > lifted ? most[(size_t)row * blocks + block] : lifted;
            int first = block * BLOCK, count = p.width[0] - first < BLOCK ? p.width[0] - first : BLOCK;
            if (largest_of(p.pixels[0] + y * p.stride[0] + first, count) > highest_luma(d, lifted))
                lower_luma(d, &p, y, first, count, writable(frame, 0, &p, vsapi) + y * p.stride[0]);
        }
    }
}

static const VSFrame *VS_CC peak_get_frame(int n, int activation_reason, void *instance, void **frame_data,
                                           VSFrameContext *context, VSCore *core, const VSAPI *vsapi) {
    (void)frame_data;
    const Peak *d = instance;
    if (activation_reason == arInitial)
        vsapi->requestFrameFilter(n, d->clip, context);
    if (activation_reason != arAllFramesReady)
        return NULL;
    size_t blocks = (size_t)(d->vi.width + BLOCK - 1) / BLOCK;
    size_t columns = (size_t)d->vi.width >> d->vi.format.subSamplingW;
    size_t rows = (size_t)d->vi.height >> d->vi.format.subSamplingH;
    float *most = malloc((blocks * rows + columns) * sizeof *most);
    if (!most) {
        vsapi->setFilterError("dslnet.Peak: out of memory", context);
        return NULL;
    }
    VSFrame *frame = take_writable(n, d->clip, context, core, vsapi);
    keep_within(d, frame, most, most + blocks * rows, vsapi);
    free(most);
    return frame;
}

static void VS_CC peak_free(void *instance, VSCore *core, const VSAPI *vsapi) {
    (void)core;
    Peak *d = instance;
    vsapi->freeNode(d->clip);
    free(d);
}

static void VS_CC peak_create(const VSMap *in, VSMap *out, void *user_data, VSCore *core, const VSAPI *vsapi) {
    (void)user_data;
    Peak *d = malloc(sizeof *d);
    if (!d) {
        vsapi->mapSetError(out, "dslnet.Peak: out of memory");
        return;
    }
    d->clip = vsapi->mapGetNode(in, "clip", 0, NULL);
    d->vi = *vsapi->getVideoInfo(d->clip);
    const VSVideoFormat *format = &d->vi.format;
    if (format->colorFamily != cfYUV || format->sampleType != stInteger || format->bytesPerSample != 2 ||
        d->vi.width == 0 || d->vi.height == 0) {
        vsapi->mapSetError(out, "dslnet.Peak: clip must be YUV of 9 to 16-bit integers and of a constant size");
        peak_free(d, core, vsapi);
        return;
    }
    double kr = vsapi->mapGetFloat(in, "kr", 0, NULL), kb = vsapi->mapGetFloat(in, "kb", 0, NULL), kg = 1 - kr - kb;
    d->peak = (float)vsapi->mapGetFloat(in, "peak", 0, NULL);
    d->red_of_cr = (float)(2 * (1 - kr));
    d->blue_of_cb = (float)(2 * (1 - kb));
    d->green_of_cr = (float)(-kr * 2 * (1 - kr) / kg);
    d->green_of_cb = (float)(-kb * 2 * (1 - kb) / kg);
    d->is_top[0] = 0;
    d->is_top[1] = 1;
    d->places = format->subSamplingW == 1 && format->subSamplingH == 1 ? 2 : 1;
    VSFilterDependency reads[] = {{d->clip, rpStrictSpatial}};
    vsapi->createVideoFilter(out, "Peak", &d->vi, peak_get_frame, peak_free, fmParallel, reads, 1, d, core);
}

void register_peak(VSPlugin *plugin, const VSPLUGINAPI *vspapi) {
    vspapi->registerFunction("Peak", "clip:vnode;peak:float;kr:float;kb:float;", "clip:vnode;", peak_create, NULL,
                             plugin);
}
