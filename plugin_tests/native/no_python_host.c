/* A VapourSynth host without Python: loads the plugin, calls Convert, prints what it says. */
#include <stdio.h>

#include "VapourSynth4.h"

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    const VSAPI *vsapi = getVapourSynthAPI(VAPOURSYNTH_API_VERSION);
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
