"""Triton kernels for motion compensation, which PyTorch's operators make some three thousand launches of.

Each does what :class:`vsdslnet.network.motion.arithmetic.Arithmetic` has a method for; launched by
:mod:`vsdslnet.inference.cuda.motion`. Frames are planes of fp32; sums over a whole frame are fp64.
"""

import triton
import triton.language as tl

DIGIT_BITS = tl.constexpr(5)
DIGITS = tl.constexpr(32)
PLACES = tl.constexpr(7)
"""31 bits, 5 at a time: the topmost digit has one."""


@triton.jit
def bilinear(picture, y, x, height, width, mask):
    """A plane at positions held within its border."""
    y = tl.minimum(tl.maximum(y, 0.0), height - 1.0)
    x = tl.minimum(tl.maximum(x, 0.0), width - 1.0)
    top, left = tl.floor(y), tl.floor(x)
    down, across = y - top, x - left
    row, column = top.to(tl.int32), left.to(tl.int32)
    below, behind = tl.minimum(row + 1, height - 1), tl.minimum(column + 1, width - 1)
    one = tl.load(picture + row * width + column, mask=mask, other=0.0)
    two = tl.load(picture + row * width + behind, mask=mask, other=0.0)
    three = tl.load(picture + below * width + column, mask=mask, other=0.0)
    four = tl.load(picture + below * width + behind, mask=mask, other=0.0)
    return (one * (1 - across) + two * across) * (1 - down) + (three * (1 - across) + four * across) * down


@triton.jit
def luma(
    frames,
    out,
    height,
    width,
    small_height,
    small_width,
    of_red,
    of_green,
    of_blue,
    WINDOW: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """Frames (F, 3, H, W) -> luma (F, h, w) by these shares, the mean of the pixels that a small one covers part of."""
    frame = tl.program_id(1).to(tl.int64)
    place = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    mask = place < small_height * small_width
    row, column = place // small_width, place % small_width
    top, bottom = row * height // small_height, ((row + 1) * height + small_height - 1) // small_height
    left, right = column * width // small_width, ((column + 1) * width + small_width - 1) // small_width
    plane = height * width
    source = frames + frame * 3 * plane
    total = tl.zeros((PIXELS,), dtype=tl.float32)
    for down in range(WINDOW):
        for across in range(WINDOW):
            y, x = top + down, left + across
            inside = mask & (y < bottom) & (x < right)
            at = source + y * width + x
            red = tl.load(at, mask=inside, other=0.0)
            green = tl.load(at + plane, mask=inside, other=0.0)
            blue = tl.load(at + 2 * plane, mask=inside, other=0.0)
            total += of_red * red + of_green * green + of_blue * blue
    count = ((bottom - top) * (right - left)).to(tl.float32)
    tl.store(out + frame * small_height * small_width + place, total / count, mask=mask)


@triton.jit
def moved_at(there, motion, y, x, height, width, mask, CAMERA: tl.constexpr):
    """A neighbour (h, w) at pixels plus their motion: a field's (2, h, w), or a camera's (2, 3)."""
    if CAMERA:
        right = (x.to(tl.float32) + 0.5) / width * 2 - 1
        down = (y.to(tl.float32) + 0.5) / height * 2 - 1
        move_x = tl.load(motion) + tl.load(motion + 1) * right + tl.load(motion + 2) * down
        move_y = tl.load(motion + 3) + tl.load(motion + 4) * right + tl.load(motion + 5) * down
    else:
        move_x = tl.load(motion + y * width + x, mask=mask, other=0.0)
        move_y = tl.load(motion + height * width + y * width + x, mask=mask, other=0.0)
    return bilinear(there, y.to(tl.float32) + move_y, x.to(tl.float32) + move_x, height, width, mask)


@triton.jit
def mean_at(here, there, motion, y, x, height, width, mask, CAMERA: tl.constexpr):
    """Mean of the centre and a neighbour moved back, at the nearest pixel there is."""
    y = tl.minimum(tl.maximum(y, 0), height - 1)
    x = tl.minimum(tl.maximum(x, 0), width - 1)
    return (
        moved_at(there, motion, y, x, height, width, mask, CAMERA) + tl.load(here + y * width + x, mask=mask, other=0.0)
    ) / 2


@triton.jit
def mismatch(here, there, motion, out, height, width, CAMERA: tl.constexpr, PIXELS: tl.constexpr):
    """Differences and slopes (3, K, h, w) of a level (h, w) to those of neighbours (K, h, w); see :func:`moved_at`."""
    k = tl.program_id(1)
    place = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    size = height * width
    mask = place < size
    y, x = place // width, place % width
    there += k * size
    motion += k * (6 if CAMERA else 2 * size)
    back = moved_at(there, motion, y, x, height, width, mask, CAMERA)
    difference = back - tl.load(here + place, mask=mask, other=0.0)
    slope_x = mean_at(here, there, motion, y, x + 1, height, width, mask, CAMERA)
    slope_x -= mean_at(here, there, motion, y, x - 1, height, width, mask, CAMERA)
    slope_y = mean_at(here, there, motion, y + 1, x, height, width, mask, CAMERA)
    slope_y -= mean_at(here, there, motion, y - 1, x, height, width, mask, CAMERA)
    step = tl.num_programs(1) * size
    out += k * size + place
    tl.store(out, difference, mask=mask)
    tl.store(out + step, slope_x / 2, mask=mask)
    tl.store(out + 2 * step, slope_y / 2, mask=mask)


@triton.jit
def digits_above(counts, rank, UPTO: tl.constexpr):
    """The first UPTO digits of the number of a rank, and its rank among those that begin so; counts (PLACES, 32)."""
    digit = tl.arange(0, DIGITS)
    prefix = 0
    for place in tl.static_range(UPTO):
        count = tl.load(counts + place * DIGITS + digit)
        up_to = tl.cumsum(count, axis=0)
        found = tl.sum((up_to <= rank).to(tl.int32), axis=0)
        rank -= tl.sum(tl.where(digit < found, count, 0), axis=0)
        prefix = prefix * DIGITS + found
    return prefix, rank


@triton.jit
def count_digits(values, counts, count, rank, PLACE: tl.constexpr, VALUES: tl.constexpr, CHUNKS: tl.constexpr):
    """How often each digit stands at a place, in rows of the values' absolutes (K, n) that begin as the median does."""
    k = tl.program_id(1)
    counts += k * PLACES * DIGITS
    prefix, _ = digits_above(counts, rank, PLACE)
    digit = tl.arange(0, DIGITS)
    shift: tl.constexpr = DIGIT_BITS * (PLACES - 1 - PLACE)
    found = tl.zeros((DIGITS,), dtype=tl.int32)
    for chunk in range(CHUNKS):
        place = (tl.program_id(0) * CHUNKS + chunk) * VALUES + tl.arange(0, VALUES)
        mask = place < count
        value = tl.load(values + k.to(tl.int64) * count + place, mask=mask, other=0.0)
        bits = tl.abs(value).to(tl.int32, bitcast=True) >> shift
        if PLACE > 0:
            mask = mask & ((bits >> DIGIT_BITS) == prefix)
        here = ((bits & (DIGITS - 1))[:, None] == digit[None, :]) & mask[:, None]
        found += tl.sum(here.to(tl.int32), axis=0)
    tl.atomic_add(counts + PLACE * DIGITS + digit, found, mask=found > 0)


@triton.jit
def median_of_digits(counts, out, rank):
    """Counts (K, PLACES, 32) -> the numbers that they are of (K,)."""
    k = tl.program_id(0)
    bits, _ = digits_above(counts + k * PLACES * DIGITS, rank, PLACES)
    tl.store(out + k, bits.to(tl.float32, bitcast=True))


@triton.jit
def normal_equations(
    slopes,
    deviations,
    sums,
    height,
    width,
    outlier,
    least,
    TERMS: tl.constexpr,
    PIXELS: tl.constexpr,
    CHUNKS: tl.constexpr,
):
    """Sums (K, programs, 8, 8) of weighted products of slopes with slopes, and with differences in the last column.

    ``slopes`` (3, K, h, w) as :func:`mismatch` stores them; rows are a constant (and slopes to the right and down) of
    the motion in x, then in y.
    """
    k = tl.program_id(1)
    size = height * width
    step = tl.num_programs(1) * size
    scale = outlier * tl.maximum(tl.load(deviations + k), least)
    row = tl.arange(0, 8)
    term = row % TERMS
    in_x, used = (row < TERMS)[:, None], (row < 2 * TERMS)[:, None]
    total = tl.zeros((8, 8), dtype=tl.float64)
    for chunk in range(CHUNKS):
        place = (tl.program_id(0) * CHUNKS + chunk) * PIXELS + tl.arange(0, PIXELS)
        mask = place < size
        at = slopes + k * size + place
        difference = tl.load(at, mask=mask, other=0.0)
        slope_x = tl.load(at + step, mask=mask, other=0.0)
        slope_y = tl.load(at + 2 * step, mask=mask, other=0.0)
        right = ((place % width).to(tl.float32) + 0.5) / width * 2 - 1
        down = ((place // width).to(tl.float32) + 0.5) / height * 2 - 1
        ratio = difference / scale
        weight = 1 / (1 + ratio * ratio)
        basis = tl.where((term == 0)[:, None], 1.0, tl.where((term == 1)[:, None], right[None, :], down[None, :]))
        slope = tl.where(used, tl.where(in_x, slope_x[None, :], slope_y[None, :]) * basis, 0.0)
        other = tl.where((row == 7)[:, None], difference[None, :], slope)
        product = (slope * weight[None, :])[:, None, :] * other[None, :, :]
        total += tl.sum(product.to(tl.float64), axis=2)
    sums += (k * tl.num_programs(0) + tl.program_id(0)) * 64
    tl.store(sums + row[:, None] * 8 + row[None, :], total)


@triton.jit
def camera_step(sums, camera, out, programs, rounding, ridge_share, least_ridge, most_px, TERMS: tl.constexpr):
    """Solves what :func:`normal_equations` has summed up (Gauss and Jordan), and moves a camera (K, 2, 3) by it."""
    k = tl.program_id(0)
    row = tl.arange(0, 8)
    rows, columns = row[:, None], row[None, :]
    system = tl.zeros((8, 8), dtype=tl.float64)
    for program in range(programs):
        system += tl.load(sums + (k * programs + program) * 64 + rows * 8 + columns)
    system = tl.floor(system / rounding + 0.5) * rounding
    used: tl.constexpr = 2 * TERMS
    diagonal = (rows == columns) & (rows < used)
    ridge = ridge_share * tl.sum(tl.sum(tl.where(diagonal, system, 0.0), axis=1), axis=0) / used + least_ridge
    system += tl.where(diagonal, ridge, 0.0)
    for pivot in tl.static_range(2 * TERMS):
        line = tl.sum(tl.where(rows == pivot, system, 0.0), axis=0)
        line = line / tl.sum(tl.where(row == pivot, line, 0.0), axis=0)
        share = tl.sum(tl.where(columns == pivot, system, 0.0), axis=1)
        system = tl.where(rows == pivot, line[None, :], system - share[:, None] * line[None, :])
    step = -tl.sum(tl.where(columns == 7, system, 0.0), axis=1).to(tl.float32)
    step = tl.floor(step / rounding + 0.5) * rounding
    step = tl.minimum(tl.maximum(step, -most_px), most_px)
    place = k * 6 + row // TERMS * 3 + row % TERMS
    tl.store(out + place, tl.load(camera + place, mask=row < used, other=0.0) + step, mask=row < used)


@triton.jit
def warped(frame, field, out, height, width, small_height, small_width, PIXELS: tl.constexpr):
    """A frame (3, H, W) at pixels plus the motion (2, h, w) that lies over it, in px of it."""
    place = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    size = height * width
    mask = place < size
    y, x = (place // width).to(tl.float32), (place % width).to(tl.float32)
    row = (y + 0.5) / height * small_height - 0.5
    column = (x + 0.5) / width * small_width - 0.5
    x += bilinear(field, row, column, small_height, small_width, mask)
    y += bilinear(field + small_height * small_width, row, column, small_height, small_width, mask)
    for plane in tl.static_range(3):
        value = bilinear(frame + plane * size, y, x, height, width, mask)
        tl.store(out + plane * size + place, value, mask=mask)


@triton.jit
def mean_of_nine(one, other, y, x, height, width, mask):
    """Mean over 3x3 of the difference of two planes, or with no other plane of the one, its border repeated."""
    total = tl.zeros_like(y).to(tl.float32)
    for k in tl.static_range(9):
        row = tl.minimum(tl.maximum(y + (k // 3 - 1), 0), height - 1)
        column = tl.minimum(tl.maximum(x + (k % 3 - 1), 0), width - 1)
        value = tl.load(one + row * width + column, mask=mask, other=0.0)
        if other is not None:
            value -= tl.load(other + row * width + column, mask=mask, other=0.0)
        total += value
    return total / 9


@triton.jit
def otherness(frame, centre, out, height, width, PIXELS: tl.constexpr):
    """The largest of the channels' mean differences over 3x3: (H, W) of frames (3, H, W)."""
    place = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    size = height * width
    mask = place < size
    y, x = place // width, place % width
    most = tl.abs(mean_of_nine(frame, centre, y, x, height, width, mask))
    for plane in tl.static_range(1, 3):
        other = mean_of_nine(frame + plane * size, centre + plane * size, y, x, height, width, mask)
        most = tl.maximum(most, tl.abs(other))
    tl.store(out + place, most, mask=mask)


@triton.jit
def averaged(plane, out, height, width, PIXELS: tl.constexpr):
    """Mean over 3x3 of a plane (H, W)."""
    place = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    mask = place < height * width
    value = mean_of_nine(plane, None, place // width, place % width, height, width, mask)
    tl.store(out + place, value, mask=mask)


@triton.jit
def hold(frame, centre, other, noise, size, most_noise, times, least, PIXELS: tl.constexpr):
    """Puts the centre (3, H, W) in a frame's place, in place, where ``other`` (H, W) passes what noise explains."""
    place = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    mask = place < size
    limit = times * tl.minimum(tl.load(noise), most_noise) + least
    share = tl.load(other + place, mask=mask, other=0.0) / limit - 1
    share = tl.minimum(tl.maximum(share, 0.0), 1.0)
    for plane in tl.static_range(3):
        at = plane * size + place
        here = tl.load(frame + at, mask=mask, other=0.0)
        there = tl.load(centre + at, mask=mask, other=0.0)
        tl.store(frame + at, here + share * (there - here), mask=mask)
