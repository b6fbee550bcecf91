#ifndef VSDSLNET_LUT_H
#define VSDSLNET_LUT_H

#include "VapourSynth4.h"

void register_lut(VSPlugin *plugin, const VSPLUGINAPI *vspapi);

#endif
