#ifndef VSDSLNET_PEAK_H
#define VSDSLNET_PEAK_H

#include "VapourSynth4.h"

void register_peak(VSPlugin *plugin, const VSPLUGINAPI *vspapi);

#endif
