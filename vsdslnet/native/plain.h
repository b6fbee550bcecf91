#ifndef VSDSLNET_PLAIN_H
#define VSDSLNET_PLAIN_H

#include "VapourSynth4.h"

void register_plain(VSPlugin *plugin, const VSPLUGINAPI *vspapi);

#endif
