//! Products of 8-bit integers as the intgemm library makes them: a packed matrix product for many rows of activations
//! and a product with picked rows of an unpacked matrix for one.
//!
//! Activations are unsigned, offset by 127 (intgemm's "shift"); what the offset adds to each sum, 127 times the sum
//! of the weights, is left to the caller. Two neighbouring products are added in 16 bits **with saturation**, as
//! `vpmaddubsw` does, and these pairs in 32 bits without. The saturation is an accident of AVX2, but models are tuned
//! and reference translations made with it, and VNNI, which has none, gives a visibly different text. So every
//! instruction set here gives the same integers, saturation included.
//!
//! Numbers must lie in −127..=127; [`Activations::quantize`] sees to its side and [`Matrix::pack`] to the other.

use super::Isa;

/// Columns of one panel.
const PANEL: usize = 16;
/// Depth of one step: the products that one 32-bit lane sums at a time.
const STEP: usize = 4;
/// What is added to each activation to make it unsigned.
pub const SHIFT: i32 = 127;
/// Rows of activations that one tile works on.
const TILE_ROWS: usize = 8;

/// One step of one panel, a cache line: `[column][depth]`.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([i8; PANEL * STEP]);

/// Weights `[outputs, depth]` packed for [`multiply`].
pub struct Matrix {
    outputs: usize,
    depth: usize,
    /// `[panel][step]`.
    lines: Vec<Line>,
    /// Sum of the weights of each output, padded to whole panels.
    sums: Vec<i32>,
}

impl Matrix {
    /// Packs `weights` of shape `[outputs, depth]`, row-major; −128 becomes −127.
    ///
    /// # Panics
    /// When `weights` has not `outputs · depth` numbers or `depth` is no multiple of 4: the caller has checked both.
    pub fn pack(weights: &[i8], outputs: usize, depth: usize) -> Self {
        assert!(depth.is_multiple_of(STEP) && weights.len() == outputs * depth);
        let panels = outputs.div_ceil(PANEL);
        let steps = depth / STEP;
        let mut lines = vec![Line([0; PANEL * STEP]); panels * steps];
        let mut sums = vec![0; panels * PANEL];
        for (output, row) in weights.chunks_exact(depth.max(1)).enumerate() {
            let (panel, column) = (output / PANEL, output % PANEL);
            for (line, weights) in lines[panel * steps..][..steps].iter_mut().zip(row.chunks_exact(STEP)) {
                for (slot, &weight) in line.0[column * STEP..].iter_mut().zip(weights) {
                    *slot = weight.max(-127);
                    sums[output] += i32::from(*slot);
                }
            }
        }
        Self { outputs, depth, lines, sums }
    }

    /// Rows of the weights: numbers that come out for each row of activations.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Numbers that go in for each output.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Sum of the weights of each output.
    pub fn sums(&self) -> &[i32] {
        &self.sums[..self.outputs]
    }
}

/// Rows of activations in 8 bits.
#[derive(Default)]
pub struct Activations {
    rows: usize,
    depth: usize,
    /// Offset by [`SHIFT`].
    numbers: Vec<u8>,
}

impl Activations {
    /// Quantises `x` of shape `[rows, depth]`: `round(x · scale)`, ties to even, cut to −127..=127.
    pub fn quantize(&mut self, x: &[f32], depth: usize, scale: f32) {
        self.reshape(x.len() / depth.max(1), depth);
        for (number, &x) in self.numbers.iter_mut().zip(x) {
            *number = quantized(x * scale);
        }
    }

    /// As [`Self::quantize`] with a scale for each row, which makes its largest number 127; gives the scales back.
    pub fn quantize_rows(&mut self, x: &[f32], depth: usize, scales: &mut Vec<f32>) {
        self.reshape(x.len() / depth.max(1), depth);
        scales.clear();
        for (numbers, x) in self.numbers.chunks_exact_mut(depth).zip(x.chunks_exact(depth)) {
            let largest = x.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            let scale = if largest > 0.0 { 127.0 / largest } else { 1.0 };
            scales.push(scale);
            for (number, &x) in numbers.iter_mut().zip(x) {
                *number = quantized(x * scale);
            }
        }
    }

    /// Makes room for `[rows, depth]` numbers, to be filled by [`Self::put`].
    pub fn reshape(&mut self, rows: usize, depth: usize) {
        (self.rows, self.depth) = (rows, depth);
        self.numbers.resize(rows * depth, 0);
    }

    /// Quantises `x · scale` into `row`, from `column` on.
    #[inline(always)]
    pub fn put(&mut self, row: usize, column: usize, x: &[f32], scale: f32) {
        for (number, &x) in self.numbers[row * self.depth + column..].iter_mut().zip(x) {
            *number = quantized(x * scale);
        }
    }

    /// Rows of activations.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// Adding 1.5 · 2²³ leaves the rounded number in the low bits of the sum: no conversion that could trap or saturate.
#[inline(always)]
fn quantized(x: f32) -> u8 {
    ((x.clamp(-127.0, 127.0) + 12_582_912.0).to_bits() as u8).wrapping_add(SHIFT as u8)
}

/// `Σ_k (x[row, k] + 127) · w[output, k]`, pairs saturated, for every row and output, handed to
/// `emit(row, output, sums)` for up to 16 neighbouring outputs at a time.
///
/// # Panics
/// When the depths differ.
pub fn multiply(isa: Isa, x: &Activations, w: &Matrix, mut emit: impl FnMut(usize, usize, &[i32])) {
    assert_eq!(x.depth, w.depth, "depths of the two sides");
    let steps = w.depth / STEP;
    let mut tile = [[0i32; 2 * PANEL]; TILE_ROWS];
    for first in (0..w.outputs).step_by(2 * PANEL) {
        let panel = first / PANEL;
        let left = &w.lines[panel * steps..][..steps];
        // The last panel may stand alone; it is then computed twice, which is cheaper than a kernel for it.
        let right = w.lines.get((panel + 1) * steps..(panel + 2) * steps).unwrap_or(left);
        let outputs = (w.outputs - first).min(2 * PANEL);
        for row in (0..x.rows).step_by(TILE_ROWS) {
            let rows = (x.rows - row).min(TILE_ROWS);
            compute(isa, &x.numbers[row * x.depth..][..rows * x.depth], x.depth, [left, right], &mut tile);
            for (index, sums) in tile[..rows].iter().enumerate() {
                for (half, sums) in sums[..outputs].chunks(PANEL).enumerate() {
                    emit(row + index, first + half * PANEL, sums);
                }
            }
        }
    }
}

/// Fills `tile[row][column]` for the rows of `x`, up to 8, and the 32 columns of two panels.
fn compute(isa: Isa, x: &[u8], depth: usize, panels: [&[Line]; 2], tile: &mut [[i32; 32]; TILE_ROWS]) {
    debug_assert!(panels.iter().all(|panel| panel.len() * STEP == depth) && x.len() <= TILE_ROWS * depth);
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 {
        // SAFETY: `Isa::detect` names AVX-512 only where the processor has it; the lengths are those the kernel reads.
        unsafe {
            match x.len() / depth {
                8 => x86::tile_avx512::<8>(x, depth, panels, tile),
                7 => x86::tile_avx512::<7>(x, depth, panels, tile),
                6 => x86::tile_avx512::<6>(x, depth, panels, tile),
                5 => x86::tile_avx512::<5>(x, depth, panels, tile),
                4 => x86::tile_avx512::<4>(x, depth, panels, tile),
                3 => x86::tile_avx512::<3>(x, depth, panels, tile),
                2 => x86::tile_avx512::<2>(x, depth, panels, tile),
                _ => x86::tile_avx512::<1>(x, depth, panels, tile),
            }
        }
        return;
    }
    for (group, x) in x.chunks(4 * depth).enumerate() {
        for (half, panel) in panels.into_iter().enumerate() {
            let rows = &mut tile[group * 4..];
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => {
                    // SAFETY: `Isa::detect` names AVX2 only where the processor has it.
                    unsafe {
                        match x.len() / depth {
                            4 => x86::tile_avx2::<4>(x, depth, panel, half, rows),
                            3 => x86::tile_avx2::<3>(x, depth, panel, half, rows),
                            2 => x86::tile_avx2::<2>(x, depth, panel, half, rows),
                            _ => x86::tile_avx2::<1>(x, depth, panel, half, rows),
                        }
                    }
                }
                #[cfg(target_arch = "aarch64")]
                Isa::Neon => neon::tile(x, depth, panel, half, rows),
                _ => tile_scalar(x, depth, panel, half, rows),
            }
        }
    }
}

fn tile_scalar(x: &[u8], depth: usize, panel: &[Line], half: usize, tile: &mut [[i32; 32]]) {
    for (x, sums) in x.chunks_exact(depth).zip(tile) {
        let sums = &mut sums[half * PANEL..][..PANEL];
        sums.fill(0);
        for (x, line) in x.chunks_exact(STEP).zip(panel) {
            for (sum, weights) in sums.iter_mut().zip(line.0.chunks_exact(STEP)) {
                *sum += dot_scalar(x, weights);
            }
        }
    }
}

fn dot_scalar(x: &[u8], weights: &[i8]) -> i32 {
    let pair = |x: &[u8; 2], w: &[i8; 2]| i32::from(x[0]) * i32::from(w[0]) + i32::from(x[1]) * i32::from(w[1]);
    let pairs = x.as_chunks().0.iter().zip(weights.as_chunks().0);
    pairs.map(|(x, w)| pair(x, w).clamp(i16::MIN.into(), i16::MAX.into())).sum()
}

/// As [`multiply`], for row `row` of the activations and each picked row of `weights`, of the shape `[_, depth]`,
/// row-major.
///
/// # Panics
/// When a picked row lies outside `weights`.
pub fn multiply_picked(isa: Isa, (x, row): (&Activations, usize), weights: &[i8], picked: &[u32], output: &mut [i32]) {
    let x = &x.numbers[row * x.depth..][..x.depth];
    let weights = |index: u32| &weights[index as usize * x.len()..][..x.len()];
    for (picked, output) in picked.chunks(8).zip(output.chunks_mut(8)) {
        // A short last group repeats its last row and throws the surplus away.
        let rows: [&[i8]; 8] = std::array::from_fn(|index| weights(picked[index.min(picked.len() - 1)]));
        output.copy_from_slice(&dots(isa, x, &rows)[..picked.len()]);
    }
}

fn dots(isa: Isa, x: &[u8], rows: &[&[i8]; 8]) -> [i32; 8] {
    let whole = x.len() / 32 * 32;
    let mut sums = match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Isa::detect` names these only where the processor has AVX2; the rows are as long as `x`.
        Isa::Avx2 | Isa::Avx512 => unsafe { x86::dots_avx2(&x[..whole], rows) },
        _ => rows.map(|row| dot_scalar(&x[..whole], &row[..whole])),
    };
    if whole < x.len() {
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum += dot_scalar(&x[whole..], &row[whole..]);
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Line, PANEL, STEP};

    /// `R` rows by two panels: each activation quartet goes to all 16 columns of a panel.
    ///
    /// # Safety
    /// `x` must hold `R` rows of `depth`, each panel `depth / 4` lines, `tile` `R` rows.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) unsafe fn tile_avx512<const R: usize>(
        x: &[u8],
        depth: usize,
        panels: [&[Line]; 2],
        tile: &mut [[i32; 32]],
    ) {
        let ones = _mm512_set1_epi16(1);
        let mut sums = [[_mm512_setzero_si512(); 2]; R];
        for step in 0..depth / STEP {
            // SAFETY: `step` counts the lines and the quartets of each row, whose lengths the caller vouches for.
            unsafe {
                let weights = panels.map(|panel| _mm512_load_si512(panel.as_ptr().add(step).cast()));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let quartet = x.as_ptr().add(row * depth + step * STEP).cast::<i32>().read_unaligned();
                    let x = _mm512_set1_epi32(quartet);
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        let pairs = _mm512_maddubs_epi16(x, weights);
                        *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(pairs, ones));
                    }
                }
            }
        }
        for (sums, tile) in sums.iter().zip(tile) {
            // SAFETY: a row of the tile has 32 numbers.
            unsafe {
                _mm512_storeu_si512(tile.as_mut_ptr().cast(), sums[0]);
                _mm512_storeu_si512(tile.as_mut_ptr().add(PANEL).cast(), sums[1]);
            }
        }
    }

    /// `R` rows by one panel, as [`tile_avx512`].
    ///
    /// # Safety
    /// `x` must hold `R` rows of `depth`, `panel` `depth / 4` lines, `tile` `R` rows.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn tile_avx2<const R: usize>(
        x: &[u8],
        depth: usize,
        panel: &[Line],
        half: usize,
        tile: &mut [[i32; 32]],
    ) {
        let ones = _mm256_set1_epi16(1);
        let mut sums = [[_mm256_setzero_si256(); 2]; R];
        for step in 0..depth / STEP {
            // SAFETY: `step` counts the lines and the quartets of each row, whose lengths the caller vouches for.
            unsafe {
                let line = panel.as_ptr().add(step).cast::<__m256i>();
                let weights = [_mm256_load_si256(line), _mm256_load_si256(line.add(1))];
                for (row, sums) in sums.iter_mut().enumerate() {
                    let quartet = x.as_ptr().add(row * depth + step * STEP).cast::<i32>().read_unaligned();
                    let x = _mm256_set1_epi32(quartet);
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        let pairs = _mm256_maddubs_epi16(x, weights);
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                    }
                }
            }
        }
        for (sums, tile) in sums.iter().zip(tile) {
            for (index, sum) in sums.iter().enumerate() {
                // SAFETY: a row of the tile has 32 numbers, 16 for each half.
                unsafe { _mm256_storeu_si256(tile.as_mut_ptr().add(half * PANEL + index * 8).cast(), *sum) };
            }
        }
    }

    /// Sums of each of eight registers.
    #[target_feature(enable = "avx2")]
    fn reduce(sums: [__m256i; 8]) -> [i32; 8] {
        let [a, b, c, d, e, f, g, h] = sums;
        let low = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        let high = _mm256_hadd_epi32(_mm256_hadd_epi32(e, f), _mm256_hadd_epi32(g, h));
        let crossed = _mm256_permute2x128_si256::<0x21>(low, high);
        let straight = _mm256_blend_epi32::<0xf0>(low, high);
        let mut output = [0; 8];
        // SAFETY: `output` has eight numbers.
        unsafe { _mm256_storeu_si256(output.as_mut_ptr().cast(), _mm256_add_epi32(crossed, straight)) };
        output
    }

    /// # Safety
    /// `rows` must be at least as long as `x`, whose length must be a multiple of 32.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn dots_avx2(x: &[u8], rows: &[&[i8]; 8]) -> [i32; 8] {
        let ones = _mm256_set1_epi16(1);
        let mut sums = [_mm256_setzero_si256(); 8];
        for start in (0..x.len()).step_by(32) {
            // SAFETY: `start + 32` is within `x` and every row.
            unsafe {
                let x = _mm256_loadu_si256(x.as_ptr().add(start).cast());
                for (sum, row) in sums.iter_mut().zip(rows) {
                    let weights = _mm256_loadu_si256(row.as_ptr().add(start).cast());
                    let pairs = _mm256_maddubs_epi16(x, weights);
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                }
            }
        }
        reduce(sums)
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    use super::{Line, PANEL, STEP};

    /// Rows of `x` by one panel: products in 32 bits, pairs narrowed to 16 with saturation, then widened and added.
    pub(super) fn tile(x: &[u8], depth: usize, panel: &[Line], half: usize, tile: &mut [[i32; 32]]) {
        for (x, tile) in x.chunks_exact(depth).zip(tile) {
            // SAFETY: NEON is part of every aarch64; a line has four times sixteen numbers, `tile` 32.
            unsafe {
                let mut sums = [vdupq_n_s32(0); 4];
                for (x, line) in x.chunks_exact(STEP).zip(panel) {
                    let quartet = u32::from_le_bytes([x[0], x[1], x[2], x[3]]);
                    let x = vget_low_s16(vreinterpretq_s16_u16(vmovl_u8(vcreate_u8(quartet.into()))));
                    for (index, sum) in sums.iter_mut().enumerate() {
                        let weights = vld1q_s8(line.0.as_ptr().add(index * 16));
                        let pairs = |weights: int16x8_t| {
                            let first = vmull_s16(x, vget_low_s16(weights));
                            vqmovn_s32(vpaddq_s32(first, vmull_s16(x, vget_high_s16(weights))))
                        };
                        let low = pairs(vmovl_s8(vget_low_s8(weights)));
                        let high = pairs(vmovl_s8(vget_high_s8(weights)));
                        *sum = vaddq_s32(*sum, vpaddlq_s16(vcombine_s16(low, high)));
                    }
                }
                for (index, sum) in sums.into_iter().enumerate() {
                    vst1q_s32(tile.as_mut_ptr().add(half * PANEL + index * 4), sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Extreme numbers are frequent: they are what saturates.
    fn noise(count: usize, seed: u32) -> Vec<i8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        let extremes = [127, -127, 127, -127];
        (0..count)
            .map(|_| match next() % 3 {
                0 => extremes[(next() % 4) as usize],
                _ => ((next() % 255) as i32 - 127) as i8,
            })
            .collect()
    }

    fn isas() -> Vec<Isa> {
        let mut isas = vec![Isa::Scalar, Isa::detect()];
        if Isa::detect() > Isa::Avx2 {
            isas.push(Isa::Avx2);
        }
        isas
    }

    /// The sums, written another way than the kernels.
    fn exact(x: &[i8], w: &[i8], depth: usize) -> Vec<i32> {
        let product = |x: i8, w: i8| (i64::from(x) + 127) * i64::from(w);
        let mut sums = Vec::new();
        for x in x.chunks_exact(depth) {
            for w in w.chunks_exact(depth) {
                let pairs = (0..depth).step_by(2);
                let pairs = pairs.map(|k| product(x[k], w[k]) + product(x[k + 1], w[k + 1]));
                sums.push(pairs.map(|pair| pair.clamp(-32_768, 32_767) as i32).sum());
            }
        }
        sums
    }

    #[test]
    fn every_instruction_set_gives_the_exact_sums() {
        for (rows, outputs, depth) in [(1, 16, 4), (3, 40, 64), (8, 32, 256), (13, 100, 36), (21, 7, 128), (2, 1, 1536)]
        {
            let (x, w) = (noise(rows * depth, 7), noise(outputs * depth, 11));
            let floats: Vec<f32> = x.iter().map(|&x| f32::from(x)).collect();
            let matrix = Matrix::pack(&w, outputs, depth);
            let exact = exact(&x, &w, depth);
            for isa in isas() {
                let mut activations = Activations::default();
                activations.quantize(&floats, depth, 1.0);
                let mut output = vec![0; rows * outputs];
                multiply(isa, &activations, &matrix, |row, first, sums| {
                    output[row * outputs + first..][..sums.len()].copy_from_slice(sums);
                });
                assert_eq!(output, exact, "{isa:?} {rows}×{outputs}×{depth}");
            }
        }
    }

    #[test]
    fn picked_rows_are_the_rows_of_the_whole_product() {
        let (outputs, depth) = (50, 100);
        let (x, w) = (noise(2 * depth, 3), noise(outputs * depth, 5));
        let floats: Vec<f32> = x.iter().map(|&x| f32::from(x)).collect();
        let picked = [0, 49, 3, 17, 17, 8, 21, 40, 2, 11, 33];
        for isa in isas() {
            let mut activations = Activations::default();
            activations.quantize(&floats, depth, 1.0);
            let mut output = vec![0; picked.len()];
            multiply_picked(isa, (&activations, 1), &w, &picked, &mut output);
            let exact = exact(&x[depth..], &w, depth);
            let expected: Vec<i32> = picked.iter().map(|&index| exact[index as usize]).collect();
            assert_eq!(output, expected, "{isa:?}");
        }
    }

    #[test]
    fn quantising_rounds_ties_to_even_and_cuts_at_127() {
        let mut activations = Activations::default();
        let x = [0.5, 1.5, -0.5, -2.5, 0.49, 300.0, -300.0, -1e30, f32::INFINITY, -126.6, 1e30, -0.0];
        activations.quantize(&x, 12, 1.0);
        let numbers = activations.numbers.iter().map(|&number| i32::from(number) - SHIFT).collect::<Vec<_>>();
        assert_eq!(numbers, [0, 2, 0, -2, 0, 127, -127, -127, 127, -127, 127, 0]);
    }

    #[test]
    fn each_row_can_have_its_own_scale() {
        let mut activations = Activations::default();
        let mut scales = Vec::new();
        activations.quantize_rows(&[1.0, -2.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0], 4, &mut scales);
        assert_eq!(scales, [63.5, 1.0]);
        assert_eq!(activations.numbers[..4], [127 + 64, 0, 127 + 32, 127]);
    }
}
