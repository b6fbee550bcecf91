#include "rgb.h"

#include <math.h>

/* ST 2084 / BT.2100-2 table 4. */
static const double M1 = 2610.0 / 16384, M2 = 2523.0 / 32, C1 = 3424.0 / 4096, C2 = 2413.0 / 128, C3 = 2392.0 / 128;

double pq_to_nits(double signal) {
    double e = pow(signal, 1 / M2);
    return e > C1 ? 10000 * pow((e - C1) / (C2 - C3 * e), 1 / M1) : 0;
}

/* What is no more than 1e-8 cd/m2 is black. */
double nits_to_pq(double nits) {
    if (nits <= 1e-8)
        return 0;
    double y = pow(nits / 10000, M1);
    return pow((C1 + C2 * y) / (1 + C3 * y), M2);
}

int is_rgb48_or_rgbs(const VSVideoInfo *vi) {
    const VSVideoFormat *format = &vi->format;
    int bits = format->bitsPerSample;
    return format->colorFamily == cfRGB && vi->width > 0 && vi->height > 0 &&
           ((format->sampleType == stInteger && bits == 16) || (format->sampleType == stFloat && bits == 32));
}

VSFrame *take_writable(int n, VSNode *node, VSFrameContext *context, VSCore *core, const VSAPI *vsapi) {
    const VSFrame *source = vsapi->getFrameFilter(n, node, context);
    vsapi->releaseFrameEarly(node, n, context);
    VSFrame *frame = vsapi->copyFrame(source, core);
    vsapi->freeFrame(source);
    return frame;
}

Picture picture_of(VSFrame *frame, const VSVideoInfo *vi, const VSAPI *vsapi) {
    Picture p = {.width = vi->width, .height = vi->height, .is_float = vi->format.sampleType == stFloat};
    for (int c = 0; c < 3; c++) {
        p.out[c] = vsapi->getWritePtr(frame, c);
        p.in[c] = p.out[c];
        p.in_stride[c] = p.out_stride[c] = vsapi->getStride(frame, c);
    }
    return p;
}

void set_light(VSFrame *frame, const Light *light, double pixels, const VSAPI *vsapi) {
    VSMap *properties = vsapi->getFramePropertiesRW(frame);
    vsapi->mapSetFloat(properties, "DSLNetMaxNits", pq_to_nits(light->largest), maReplace);
    vsapi->mapSetFloat(properties, "DSLNetAverageNits", light->sum_nits / pixels, maReplace);
}
