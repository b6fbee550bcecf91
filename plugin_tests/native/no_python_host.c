/* A VapourSynth host without Python: loads the plugin, calls Convert, prints what it says.
 * On Windows it finds libvapoursynth.dll beside itself. */
#include <stdio.h>
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#endif

#include "VapourSynth4.h"

static const VSAPI *vapoursynth_api(void) {
#ifdef _WIN32
    HMODULE library = LoadLibraryW(L"libvapoursynth.dll");
    const VSAPI *(VS_CC * get)(int) =
        library ? (const VSAPI *(VS_CC *)(int))(void *)GetProcAddress(library, "getVapourSynthAPI") : NULL;
    return get ? get(VAPOURSYNTH_API_VERSION) : NULL;
#else
    return getVapourSynthAPI(VAPOURSYNTH_API_VERSION);
#endif
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    const VSAPI *vsapi = vapoursynth_api();
    if (!vsapi) {
        printf("there is no VapourSynth\n");
        return 4;
    }
    VSCore *core = vsapi->createCore(ccfDisableAutoLoading);
    VSMap *arguments = vsapi->createMap();
    vsapi->mapSetData(arguments, "path", argv[1], -1, dtUtf8, maReplace);
    VSMap *loaded = vsapi->invoke(vsapi->getPluginByNamespace("std", core), "LoadPlugin", arguments);
    if (vsapi->mapGetError(loaded)) {
        printf("LoadPlugin: %s\n", vsapi->mapGetError(loaded));
        return 3;
    }
    vsapi->freeMap(loaded);
    vsapi->clearMap(arguments);
    VSMap *blank = vsapi->invoke(vsapi->getPluginByNamespace("std", core), "BlankClip", arguments);
    VSMap *converted = vsapi->invoke(vsapi->getPluginByNamespace("dslnet", core), "Convert", blank);
    const char *error = vsapi->mapGetError(converted);
    printf("%s\n", error ? error : "no error");
    vsapi->freeMap(converted);
    vsapi->freeMap(blank);
    vsapi->freeMap(arguments);
    vsapi->freeCore(core);
    return 0;
}
