/*
 * core.dslnet: the part of vsdslnet that has to be native.
 *
 * Convert  finds the Python of this process, imports vsdslnet.plugin.entry and hands it the arguments.
 * Bind     (internal) the way in which that Python gives its function back to the waiting Convert.
 * Window   (internal) a filter that asks for the frames n-radius..n+radius before it computes, puts the
 *          nearest frame of the same scene in place of those beyond a clip's end or a scene cut, and calls
 *          a selector function with them. Frames can't be asked for inside a Python callback: the
 *          VapourSynth API forbids it, hence this filter.
 * Lut, Plain, Peak  (internal) passes over pixels, each in a file of its own.
 *
 * Policy (formats, colour, defaults, texts about arguments) lives in Python. No Python.h and no libpython:
 * nine functions are looked up in the running process, so that one binary serves every Python and a
 * process without Python gets an error instead of a crash.
 *
 * Locks: the GIL is held only while Convert imports and binds. Window never takes it itself; the selector's
 * own trampoline (in the VapourSynth module) does, for as long as the selector runs Python code.
 */
#ifndef _WIN32
#define _GNU_SOURCE
#include <dlfcn.h>
#else
#define WIN32_LEAN_AND_MEAN /* windows.h brings all of Winsock otherwise, whose names are plain words */
#include <windows.h>
#endif
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "VapourSynth4.h"
#include "lut.h"
#include "peak.h"
#include "plain.h"

#include "options.h"

#ifdef _MSC_VER
#define THREAD_LOCAL __declspec(thread)
#else
#define THREAD_LOCAL _Thread_local
#endif

enum { MAX_RADIUS_FRAMES = 16, MAX_WINDOW_FRAMES = 2 * MAX_RADIUS_FRAMES + 1, TEXT_BYTES = 1024 };

/* Copies the last line that is not empty: errors are one line wherever they come from, and that is where a
 * Python traceback says what happened. */
static void one_line(char *line, size_t size, const char *text) {
    size_t end = strlen(text);
    while (end > 0 && strchr("\r\n \t", text[end - 1]))
        end--;
    size_t start = end;
    while (start > 0 && !strchr("\r\n", text[start - 1]))
        start--;
    size_t length = end - start < size ? end - start : size - 1;
    memcpy(line, text + start, length);
    line[length] = '\0';
}

/* What a Python function reports: an exception it raised, the "error" it returned, or NULL. */
static const char *reported_error(const VSMap *result, const VSAPI *vsapi) {
    int unset = 0;
    const char *text = vsapi->mapGetError(result);
    return text ? text : vsapi->mapGetData(result, "error", 0, &unset);
}

/* ---- The Python of this process ------------------------------------------------------------------- */

typedef struct {
    int (*is_initialized)(void);
    int (*gil_ensure)(void);
    void (*gil_release)(int state);
    void *(*import_module)(const char *name);
    void *(*call_method)(void *object, const char *name, const char *format, ...);
    void (*decref)(void *object);
    void (*fetch_error)(void **type, void **value, void **traceback);
    void *(*to_str)(void *object);
    const char *(*as_utf8)(void *text, ptrdiff_t *size);
} Python;

static void *find_symbol(const char *name) {
#ifdef _WIN32
    HMODULE python = GetModuleHandleW(L"python3.dll");
    return python ? (void *)GetProcAddress(python, name) : NULL;
#else
    return dlsym(RTLD_DEFAULT, name);
#endif
}

static int find_python(Python *py) {
    const struct {
        const char *name;
        void *slot;
    } wanted[] = {
        {"Py_IsInitialized", &py->is_initialized},
        {"PyGILState_Ensure", &py->gil_ensure},
        {"PyGILState_Release", &py->gil_release},
        {"PyImport_ImportModule", &py->import_module},
        {"PyObject_CallMethod", &py->call_method},
        {"Py_DecRef", &py->decref},
        {"PyErr_Fetch", &py->fetch_error},
        {"PyObject_Str", &py->to_str},
        {"PyUnicode_AsUTF8AndSize", &py->as_utf8},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *symbol = find_symbol(wanted[i].name);
        if (!symbol)
            return 0;
        memcpy(wanted[i].slot, &symbol, sizeof symbol); /* ISO C has no cast from object to function pointer */
    }
    return py->is_initialized();
}

/* Takes the pending Python exception and writes its text as one line. Needs the GIL. */
static void take_exception(const Python *py, char *line, size_t size) {
    void *type = NULL, *value = NULL, *traceback = NULL;
    py->fetch_error(&type, &value, &traceback);
    void *str = value ? py->to_str(value) : NULL;
    const char *text = str ? py->as_utf8(str, NULL) : NULL;
    one_line(line, size, text ? text : "unknown Python error");
    void *held[] = {str, type, value, traceback};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        py->decref(held[i]); /* Py_DecRef ignores NULL */
}

/* ---- Convert and Bind ----------------------------------------------------------------------------- */

/* Lives on the stack of a Convert that waits for Bind on the same thread; nothing outlives the call, so no
 * Python function keeps a core (or an interpreter) alive. */
typedef struct {
    VSCore *core;
    VSFunction *function;
} Handover;

static THREAD_LOCAL Handover *waiting;

static void VS_CC bind_function(const VSMap *in, VSMap *out, void *user_data, VSCore *core,
                                const VSAPI *vsapi) {
    (void)user_data;
    if (!waiting || waiting->function) {
        vsapi->mapSetError(out, "dslnet.Bind: internal, called by Convert; use core.dslnet.Convert(clip)");
    } else if (waiting->core != core) {
        vsapi->mapSetError(out, "dslnet.Bind: Python's current core is not the one Convert was called on; "
                                "call Convert with that core's environment active");
    } else {
        waiting->function = vsapi->mapGetFunction(in, "func", 0, NULL);
    }
}

/* The Python side's convert function, or NULL and a one-line error. */
static VSFunction *python_convert(VSCore *core, char *error, size_t size) {
    Python py;
    if (!find_python(&py)) {
        snprintf(error, size,
                 "dslnet.Convert: there is no Python in this process and the network runs in Python; "
                 "use vspipe, vsscript or a Python program");
        return NULL;
    }
    Handover handover = {core, NULL};
    Handover *outer = waiting;
    waiting = &handover;
    int gil = py.gil_ensure();
    void *module = py.import_module("vsdslnet.plugin.entry");
    void *done = module ? py.call_method(module, "bind", NULL) : NULL;
    if (!done) {
        char text[TEXT_BYTES];
        take_exception(&py, text, sizeof text);
        if (module)
            snprintf(error, size, "dslnet.Convert: vsdslnet did not start: %s", text);
        else
            snprintf(error, size,
                     "dslnet.Convert: vsdslnet can't be imported: %s; "
                     "install vsdslnet in the Python that runs this script",
                     text);
    }
    py.decref(done);
    py.decref(module);
    py.gil_release(gil);
    waiting = outer;
    if (done && !handover.function)
        snprintf(error, size, "dslnet.Convert: vsdslnet.plugin.entry did not bind; reinstall vsdslnet");
    return handover.function;
}

static void VS_CC convert(const VSMap *in, VSMap *out, void *user_data, VSCore *core, const VSAPI *vsapi) {
    (void)user_data;
    char error[2 * TEXT_BYTES];
    VSFunction *function = python_convert(core, error, sizeof error);
    if (!function) {
        vsapi->mapSetError(out, error);
        return;
    }
    VSMap *result = vsapi->createMap();
    vsapi->callFunction(function, in, result);
    int unset = 0;
    const char *text = reported_error(result, vsapi);
    VSNode *clip = text ? NULL : vsapi->mapGetNode(result, "clip", 0, &unset);
    if (clip) {
        vsapi->mapConsumeNode(out, "clip", clip, maAppend);
    } else {
        char line[TEXT_BYTES];
        one_line(line, sizeof line, text ? text : "the Python side returned no clip; reinstall vsdslnet");
        snprintf(error, sizeof error, "dslnet.Convert: %s", line);
        vsapi->mapSetError(out, error);
    }
    vsapi->freeMap(result);
    vsapi->freeFunction(function);
}

/* ---- Window --------------------------------------------------------------------------------------- */

typedef struct {
    VSNode *node;
    VSFunction *selector;
    VSVideoInfo vi;
    int radius_frames;
    int cuts;
} Window;

static int is_set(const VSFrame *frame, const char *property, const VSAPI *vsapi) {
    int unset = 0;
    return vsapi->mapGetInt(vsapi->getFramePropertiesRO(frame), property, 0, &unset) != 0 && !unset;
}

static int is_cut(const VSFrame *left, const VSFrame *right, const VSAPI *vsapi) {
    return is_set(left, "_SceneChangeNext", vsapi) || is_set(right, "_SceneChangePrev", vsapi);
}

/* Fills the selector's arguments: n, f (2*radius+1 frames) and source (their frame numbers). `frames` are
 * those from `first` to `last`, which both lie within the clip and within the radius. */
static VSMap *window_arguments(const Window *d, int n, const VSFrame **frames, int first, int last,
                               const VSAPI *vsapi) {
    int from = n, to = n;
    while (from > first && !(d->cuts && is_cut(frames[from - 1 - first], frames[from - first], vsapi)))
        from--;
    while (to < last && !(d->cuts && is_cut(frames[to - first], frames[to + 1 - first], vsapi)))
        to++;
    VSMap *arguments = vsapi->createMap();
    vsapi->mapSetInt(arguments, "n", n, maReplace);
    for (int k = n - d->radius_frames; k <= n + d->radius_frames; k++) {
        int source = k < from ? from : k > to ? to : k;
        vsapi->mapSetFrame(arguments, "f", frames[source - first], maAppend);
        vsapi->mapSetInt(arguments, "source", source, maAppend);
    }
    return arguments;
}

/* The core ends the process over a frame that is not what the node promised: refuse it first. */
static int is_promised(const Window *d, const VSFrame *frame, const VSAPI *vsapi) {
    if (vsapi->getFrameType(frame) != mtVideo)
        return 0;
    const VSVideoFormat *is = vsapi->getVideoFrameFormat(frame), *should = &d->vi.format;
    return is->colorFamily == should->colorFamily && is->sampleType == should->sampleType &&
           is->bitsPerSample == should->bitsPerSample && is->subSamplingW == should->subSamplingW &&
           is->subSamplingH == should->subSamplingH && vsapi->getFrameWidth(frame, 0) == d->vi.width &&
           vsapi->getFrameHeight(frame, 0) == d->vi.height;
}

static const VSFrame *window_result(const Window *d, int n, const VSMap *result, VSFrameContext *context,
                                    const VSAPI *vsapi) {
    int unset = 0;
    char line[TEXT_BYTES], error[TEXT_BYTES + 64];
    const char *text = reported_error(result, vsapi);
    const VSFrame *frame = text ? NULL : vsapi->mapGetFrame(result, "val", 0, &unset);
    if (frame && is_promised(d, frame, vsapi))
        return frame;
    if (frame) {
        text = "the selector's frame differs from the clip in format or size";
        vsapi->freeFrame(frame);
    } else if (!text) {
        text = "the selector returned no frame";
    }
    one_line(line, sizeof line, text);
    snprintf(error, sizeof error, "dslnet: frame %d: %s", n, line);
    vsapi->setFilterError(error, context);
    return NULL;
}

static const VSFrame *VS_CC window_get_frame(int n, int activation_reason, void *instance, void **frame_data,
                                             VSFrameContext *context, VSCore *core, const VSAPI *vsapi) {
    (void)frame_data;
    (void)core;
    const Window *d = instance;
    int first = n > d->radius_frames ? n - d->radius_frames : 0;
    int last = d->vi.numFrames - 1 - n > d->radius_frames ? n + d->radius_frames : d->vi.numFrames - 1;
    if (activation_reason == arInitial) {
        for (int k = first; k <= last; k++)
            vsapi->requestFrameFilter(k, d->node, context);
        return NULL;
    }
    if (activation_reason != arAllFramesReady)
        return NULL;

    const VSFrame *frames[MAX_WINDOW_FRAMES];
    for (int k = first; k <= last; k++)
        frames[k - first] = vsapi->getFrameFilter(k, d->node, context);
    VSMap *arguments = window_arguments(d, n, frames, first, last, vsapi);
    for (int k = first; k <= last; k++)
        vsapi->freeFrame(frames[k - first]);
    VSMap *result = vsapi->createMap();
    vsapi->callFunction(d->selector, arguments, result);
    const VSFrame *frame = window_result(d, n, result, context, vsapi);
    vsapi->freeMap(result);
    vsapi->freeMap(arguments);
    return frame;
}

static void VS_CC window_free(void *instance, VSCore *core, const VSAPI *vsapi) {
    (void)core;
    Window *d = instance;
    vsapi->freeNode(d->node);
    vsapi->freeFunction(d->selector);
    free(d);
}

static void VS_CC window_create(const VSMap *in, VSMap *out, void *user_data, VSCore *core,
                                const VSAPI *vsapi) {
    (void)user_data;
    int unset = 0;
    int radius_frames = vsapi->mapGetIntSaturated(in, "radius", 0, NULL);
    if (radius_frames < 0 || radius_frames > MAX_RADIUS_FRAMES) {
        char error[TEXT_BYTES];
        snprintf(error, sizeof error, "dslnet.Window: radius=%d is not allowed: 0 to %d frames", radius_frames,
                 MAX_RADIUS_FRAMES);
        vsapi->mapSetError(out, error);
        return;
    }
    VSNode *node = vsapi->mapGetNode(in, "clip", 0, NULL);
    const VSVideoInfo *vi = vsapi->getVideoInfo(node);
    if (vi->format.colorFamily == cfUndefined || vi->width == 0 || vi->height == 0) {
        vsapi->mapSetError(out, "dslnet.Window: clip must have a constant format and size");
        vsapi->freeNode(node);
        return;
    }
    Window *d = malloc(sizeof *d);
    if (!d) {
        vsapi->mapSetError(out, "dslnet.Window: out of memory");
        vsapi->freeNode(node);
        return;
    }
    d->node = node;
    d->vi = *vi;
    d->selector = vsapi->mapGetFunction(in, "selector", 0, NULL);
    d->radius_frames = radius_frames;
    d->cuts = vsapi->mapGetIntSaturated(in, "cuts", 0, &unset) != 0 || unset;
    /* One computation at a time for each Window, while the frames of the next ones are already on their
     * way. Unlike a lock of our own this leaves the core's threads free for other filters. */
    VSFilterDependency dependency = {node, radius_frames ? rpGeneral : rpStrictSpatial};
    vsapi->createVideoFilter(out, "Window", &d->vi, window_get_frame, window_free, fmParallelRequests,
                             &dependency, 1, d, core);
}

/* ---- The plugin ----------------------------------------------------------------------------------- */

/* The core unloads plugins when it is freed; a thread that is still on its way out of this code would then
 * fall into nothing. */
static const char anchor = 0; /* any address inside this library */

static void pin_this_library(void) {
#ifdef _WIN32
    HMODULE module;
    GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                       (LPCWSTR)&anchor, &module);
#else
    Dl_info info;
    if (dladdr(&anchor, &info) && info.dli_fname)
        dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

VS_EXTERNAL_API(void) VapourSynthPluginInit2(VSPlugin *plugin, const VSPLUGINAPI *vspapi) {
    pin_this_library();
    vspapi->configPlugin("org.vsdslnet.dslnet", "dslnet", "DSLNet: SDR to HDR10",
                         VS_MAKE_VERSION(DSLNET_VERSION_MAJOR, DSLNET_VERSION_MINOR), VAPOURSYNTH_API_VERSION, 0,
                         plugin);
    vspapi->registerFunction("Convert", DSLNET_CONVERT_ARGUMENTS, "clip:vnode;", convert, NULL, plugin);
    vspapi->registerFunction("Bind", "func:func;", "", bind_function, NULL, plugin);
    vspapi->registerFunction("Window", "clip:vnode;selector:func;radius:int;cuts:int:opt;", "clip:vnode;",
                             window_create, NULL, plugin);
    register_lut(plugin, vspapi);
    register_plain(plugin, vspapi);
    register_peak(plugin, vspapi);
}
