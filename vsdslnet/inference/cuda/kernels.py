"""Triton kernels for what PyTorch's own operators do at a few per cent of a device's speed.

**Depthwise.** A large depthwise convolution has one product a value and a tap, and matrix units can't help it. Along a
row it is a product with a band matrix, though: 16 outputs of a row come from 32 inputs, whatever the radius up to 8.
So per channel, ``pixels x 32`` inputs times ``32 x 16`` of a Toeplitz matrix are summed over the rows of the kernel;
``OUT_ROWS`` rows of outputs share each row of inputs that is read. Channels are planes for that, and planes have a
border of zeros, so that nothing is asked for its place.

**Deformable.** Offsets are read once, and what they point at is sampled and multiplied at once: the sampled values,
135 a pixel, never meet the memory.

**Finish.** A bias, a residual and a ReLU in one pass.

Launched by :mod:`vsdslnet.inference.cuda.depthwise` and :mod:`~vsdslnet.inference.cuda.deformable`.
"""

import triton
import triton.language as tl


@triton.jit
def planes_of_pixels(
    pixels,
    planes,
    height,
    width,
    channels,
    rows,
    pitch,
    TOP: tl.constexpr,
    LEFT: tl.constexpr,
    RELU: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """(H, W, C) -> (C, rows, pitch) with the picture at (TOP, LEFT) and zeros around it; a ReLU may come before."""
    row = tl.program_id(1)
    column = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    y, x = row - TOP, column - LEFT
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    place = (y.to(tl.int64) * width + x) * channels
    value = tl.load(
        pixels + place[:, None] + channel[None, :],
        mask=inside[:, None] & (channel < channels)[None, :],
        other=0.0,
    )
    if RELU:
        value = tl.maximum(value, 0.0)
    there = channel.to(tl.int64)[:, None] * rows * pitch + row * pitch + column[None, :]
    tl.store(
        planes + there,
        tl.trans(value).to(planes.dtype.element_ty),
        mask=(channel < channels)[:, None] & (column < pitch)[None, :],
    )


@triton.jit
def depthwise(
    planes,
    toeplitz,
    bias,
    out,
    in_rows,
    in_pitch16,
    out_rows,
    out_pitch16,
    IN_ROWS: tl.constexpr,
    OUT_ROWS: tl.constexpr,
    GROUPS: tl.constexpr,
    TILES: tl.constexpr,
    RELU: tl.constexpr,
):
    """Planes (C, in_rows, in_pitch) -> (C, out_rows, out_pitch): GROUPS * OUT_ROWS rows of TILES * 16 px a program.

    ``toeplitz`` (C, IN_ROWS, 32, OUT_ROWS * 16) has the weights, ``bias`` (C,) what is added, in fp32.
    """
    channel = tl.program_id(2).to(tl.int64)
    pixel = tl.arange(0, GROUPS * TILES)
    top = (tl.program_id(1) * GROUPS + pixel // TILES) * OUT_ROWS
    left = (tl.program_id(0) * TILES + pixel % TILES) * 16
    column = tl.arange(0, 32)
    result = tl.arange(0, OUT_ROWS * 16)
    # Pitches come as multiples of 16, so that the compiler knows how far accesses are aligned.
    in_pitch, out_pitch = in_pitch16 * 16, out_pitch16 * 16
    source = planes + channel * in_rows * in_pitch + (top * in_pitch + left)[:, None] + column[None, :]
    weight = toeplitz + channel * (IN_ROWS * 32 * OUT_ROWS * 16) + column[:, None] * (OUT_ROWS * 16) + result[None, :]
    total = tl.zeros((GROUPS * TILES, OUT_ROWS * 16), dtype=tl.float32)
    for row in range(IN_ROWS):
        a = tl.load(source + row * in_pitch)
        b = tl.load(weight + row * (32 * OUT_ROWS * 16))
        total = tl.dot(a, b, total)
    total += tl.load(bias + channel)
    if RELU:
        total = tl.maximum(total, 0.0)
    rows = top[:, None] + (result // 16)[None, :]
    there = channel * out_rows * out_pitch + rows * out_pitch + left[:, None] + (result % 16)[None, :]
    tl.store(out + there, total.to(out.dtype.element_ty))


@triton.jit
def pixels_of_planes(
    planes,
    pixels,
    width,
    channels,
    rows,
    pitch,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """(C, rows, pitch) -> the first (H, W) of each plane as (H, W, C); a program has a row for each H."""
    row = tl.program_id(1)
    column = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    here = channel.to(tl.int64)[:, None] * rows * pitch + row * pitch + column[None, :]
    inside = (column < width)[None, :] & (channel < channels)[:, None]
    value = tl.load(planes + here, mask=inside, other=0.0)
    there = (row.to(tl.int64) * width + column)[:, None] * channels + channel[None, :]
    tl.store(pixels + there, tl.trans(value), mask=tl.trans(inside))


@triton.jit
def finish(products, bias, add, out, count, channels, slope, ADD: tl.constexpr, VALUES: tl.constexpr):
    """Pixels (n, C) of a convolution without its bias -> with it and with ``add`` (n, C), times ``slope`` below 0."""
    place = tl.program_id(0).to(tl.int64) * VALUES + tl.arange(0, VALUES)
    mask = place < count
    value = tl.load(products + place, mask=mask, other=0.0).to(tl.float32)
    value += tl.load(bias + (place % channels).to(tl.int32)).to(tl.float32)
    if ADD:
        value += tl.load(add + place, mask=mask, other=0.0).to(tl.float32)
    value = tl.where(value < 0, value * slope, value)
    tl.store(out + place, value.to(out.dtype.element_ty), mask=mask)


@triton.jit
def deformable(
    frames,
    offsets,
    weight,
    bias,
    out,
    height,
    width,
    columns,
    positions,
    channels,
    most,
    FRAMES: tl.constexpr,
    KERNEL: tl.constexpr,
    SCALE: tl.constexpr,
    VALUES: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Deformable convolution of frames (F, 3, H, W) at ``positions`` blocks of SCALE x SCALE px, ``columns`` a row.

    ``offsets`` (positions, F * k * k * 2), in px, held to ``most``; ``weight`` (F, VALUES, CHANNELS), fp32, its rows in
    the order of :meth:`vsdslnet.network.dmfa.DeformableConv.sample` and zeros behind; ``out`` (positions, C).
    """
    TAPS: tl.constexpr = KERNEL * KERNEL
    BLOCK: tl.constexpr = SCALE * SCALE
    position = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.arange(0, CHANNELS)
    here = position < positions
    total = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
    total += tl.load(bias + channel, mask=channel < channels, other=0.0)[None, :]
    block_y, block_x = (position // columns)[:, None], (position % columns)[:, None]
    size = height * width
    for chunk in range(FRAMES * (VALUES // 32)):
        frame = chunk // (VALUES // 32)
        value = (chunk % (VALUES // 32)) * 32 + tl.arange(0, 32)
        tap, pixel, plane = value % TAPS, (value // TAPS) % BLOCK, value // (TAPS * BLOCK)
        known = here[:, None] & (plane < 3)[None, :]
        place = position.to(tl.int64)[:, None] * (FRAMES * TAPS * 2) + (frame * TAPS + tap)[None, :] * 2
        away_y = tl.load(offsets + place, mask=known, other=0.0).to(tl.float32)
        away_x = tl.load(offsets + place + 1, mask=known, other=0.0).to(tl.float32)
        away_y = tl.minimum(tl.maximum(away_y, -most), most)
        away_x = tl.minimum(tl.maximum(away_x, -most), most)
        y = block_y * SCALE + (pixel // SCALE + SCALE * (tap // KERNEL - KERNEL // 2))[None, :] + away_y
        x = block_x * SCALE + (pixel % SCALE + SCALE * (tap % KERNEL - KERNEL // 2))[None, :] + away_x
        top, left = tl.floor(y), tl.floor(x)
        down, across = y - top, x - left
        row, column = top.to(tl.int32), left.to(tl.int32)
        source = frames + (frame * 3 + plane)[None, :] * size + row * width + column
        above, below = known & (row >= 0) & (row < height), known & (row >= -1) & (row < height - 1)
        before, behind = (column >= 0) & (column < width), (column >= -1) & (column < width - 1)
        sampled = tl.load(source, mask=above & before, other=0.0) * (1 - down) * (1 - across)
        sampled += tl.load(source + 1, mask=above & behind, other=0.0) * (1 - down) * across
        sampled += tl.load(source + width, mask=below & before, other=0.0) * down * (1 - across)
        sampled += tl.load(source + width + 1, mask=below & behind, other=0.0) * down * across
        rows = (frame * VALUES + value)[:, None] * CHANNELS + channel[None, :]
        total = tl.dot(sampled, tl.load(weight + rows), total, input_precision="tf32x3")
    there = position.to(tl.int64)[:, None] * channels + channel[None, :]
    tl.store(out + there, total.to(out.dtype.element_ty), mask=here[:, None] & (channel < channels)[None, :])


@triton.jit
def modulate(
    aligned,
    weights,
    biases,
    spatial,
    out,
    columns,
    positions,
    channels,
    small_rows,
    small_columns,
    top,
    left,
    step_y,
    step_x,
    LAYERS: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """STFM's modulation branch of a picture (positions, C), ``columns`` of them a row, in one pass over it.

    ``weights`` (LAYERS, CHANNELS, CHANNELS), inputs before outputs, and ``biases`` (LAYERS, CHANNELS), fp32, have TFM
    and CFM in them; ``spatial`` (small_rows, small_columns, 2 C) is V_SM, read bilinearly at top + y step_y,
    left + x step_x.
    """
    position = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.arange(0, CHANNELS)
    here, known = position < positions, channel < channels
    inside = here[:, None] & known[None, :]
    place = position.to(tl.int64)[:, None] * channels + channel[None, :]
    y = tl.minimum(tl.maximum(top + (position // columns) * step_y, 0.0), small_rows - 1.0)
    x = tl.minimum(tl.maximum(left + (position % columns) * step_x, 0.0), small_columns - 1.0)
    above, before = tl.floor(y), tl.floor(x)
    down, across = (y - above)[:, None], (x - before)[:, None]
    row, column = above.to(tl.int32), before.to(tl.int32)
    below = tl.minimum(row + 1, small_rows - 1)
    behind = tl.minimum(column + 1, small_columns - 1)
    scale = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
    shift = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
    for corner in tl.static_range(4):
        at = (below if corner // 2 else row) * small_columns + (behind if corner % 2 else column)
        share = (down if corner // 2 else 1 - down) * (across if corner % 2 else 1 - across)
        source = spatial + at[:, None] * (2 * channels) + channel[None, :]
        scale += share * tl.load(source, mask=inside, other=0.0)
        shift += share * tl.load(source + channels, mask=inside, other=0.0)
    value = tl.load(aligned + place, mask=inside, other=0.0).to(tl.float32)
    inner = tl.arange(0, CHANNELS)
    for layer in tl.static_range(LAYERS):
        weight = tl.load(weights + layer * CHANNELS * CHANNELS + inner[:, None] * CHANNELS + channel[None, :])
        if layer > 0:
            value = tl.maximum(value, 0.0)
        value = tl.dot(value, weight, input_precision="tf32x3")
        value += tl.load(biases + layer * CHANNELS + channel)[None, :]
        if layer > 0:
            value = value * scale + shift
    tl.store(out + place, value.to(out.dtype.element_ty), mask=inside)
