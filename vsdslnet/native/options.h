/* Written by scripts/write_options.py from vsdslnet/options.py; don't edit. */
#define DSLNET_VERSION_MAJOR 0
#define DSLNET_VERSION_MINOR 2
#define DSLNET_CONVERT_ARGUMENTS \
    "clip:vnode;" \
    "model:data:opt;" \
    "peak:float:opt;" \
    "white:float:opt;" \
    "look:data:opt;" \
    "strength:float:opt;" \
    "saturation:float:opt;" \
    "transfer:data:opt;" \
    "format:int:opt;" \
    "dither_type:data:opt;" \
    "num_streams:int:opt;" \
    "matrix_in:int:opt;" \
    "transfer_in:int:opt;" \
    "primaries_in:int:opt;" \
    "range_in:int:opt;" \
    "chromaloc_in:int:opt;" \
    "scene_cuts:data:opt;" \
    "device:data:opt;" \
    "device_index:int:opt;" \
    "precision:data:opt;" \
    "backend:data:opt;" \
    "tile:int[]:opt;"
