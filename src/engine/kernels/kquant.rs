//! Products with K-quantised weights: Q4_K, Q5_K and Q6_K of the GGML family.
//!
//! A row of weights comes in super-blocks of 256. Unpacked, every format is the same thing: 256 unsigned numbers
//! `q`, a 6- or 8-bit scale `s` for each stretch of 16, a number `m` to subtract for each stretch of 16, and two
//! floats, so that
//!
//! ```text
//! Σ w·x  =  x.d · ( d · Σ s·q·x.q  −  dm · Σ m·x.sum16 )
//! ```
//!
//! with the activations `x` in 8 bits, one scale a super-block and the sum of each stretch of 16 beside them.
//!
//! Decoding one sentence reads every weight for one product; here [`TILE`] rows of weights are unpacked into the
//! L1 cache once and used for all rows of activations, so that unpacking and memory are paid once a batch. The
//! arithmetic of one output is the same whatever stands beside it: a sentence's numbers do not depend on its batch.
//!
//! Layouts: `block_q4_K`, `block_q5_K`, `block_q6_K` and `block_q8_K` of ggml (`ggml-common.h`).

use super::Isa;

/// Weights of one super-block.
pub const BLOCK: usize = 256;
/// Rows of weights that are unpacked together.
pub const TILE: usize = 4;
/// Running sums of one output: the lanes of a 256-bit register.
const LANES: usize = 8;

/// A K-quantised number format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 4 bits, 6-bit scales and minima for each 32.
    Q4K,
    /// 5 bits, 6-bit scales and minima for each 32.
    Q5K,
    /// 6 bits, 8-bit scales for each 16.
    Q6K,
}

impl Format {
    /// Bytes of one super-block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    fn unpack(self, block: &[u8], into: &mut Unpacked) {
        match self {
            Self::Q4K => unpack_q4k(block, into),
            Self::Q5K => unpack_q5k(block, into),
            Self::Q6K => unpack_q6k(block, into),
        }
    }

    /// The 256 weights of one super-block in `f32`.
    pub fn dequantize(self, block: &[u8], into: &mut [f32]) {
        let mut unpacked = Unpacked::default();
        self.unpack(block, &mut unpacked);
        for (index, (weight, &q)) in into.iter_mut().zip(&unpacked.q).enumerate() {
            let scale = f32::from(unpacked.scales[index / 32][index % 32 / 2]);
            let min = f32::from(unpacked.mins[index / 16]);
            *weight = unpacked.d * scale * f32::from(q) - unpacked.dm * min;
        }
    }
}

/// One super-block, ready for multiplication.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Unpacked {
    q: [u8; BLOCK],
    /// For each 32 numbers, the scale of each pair: what `vpmaddwd` wants.
    scales: [[i16; 16]; BLOCK / 32],
    /// For each 16 numbers, what is subtracted.
    mins: [i16; BLOCK / 16],
    d: f32,
    dm: f32,
}

impl Default for Unpacked {
    fn default() -> Self {
        Self { q: [0; BLOCK], scales: [[0; 16]; BLOCK / 32], mins: [0; BLOCK / 16], d: 0.0, dm: 0.0 }
    }
}

fn half(bytes: &[u8], at: usize) -> f32 {
    half::f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32_const()
}

/// The eight 6-bit scales and minima that 12 bytes hold: the first four of each in the low bits, the last four
/// split between the low nibbles and the high bits.
fn scales_and_mins(packed: &[u8]) -> ([u8; 8], [u8; 8]) {
    let word = |at: usize| u32::from_le_bytes([packed[at], packed[at + 1], packed[at + 2], packed[at + 3]]);
    let (low, middle, high) = (word(0), word(4), word(8));
    let mut scales = [0; 8];
    let mut mins = [0; 8];
    scales[..4].copy_from_slice(&(low & 0x3f3f_3f3f).to_le_bytes());
    mins[..4].copy_from_slice(&(middle & 0x3f3f_3f3f).to_le_bytes());
    scales[4..].copy_from_slice(&((high & 0x0f0f_0f0f) | ((low >> 2) & 0x3030_3030)).to_le_bytes());
    mins[4..].copy_from_slice(&(((high >> 4) & 0x0f0f_0f0f) | ((middle >> 2) & 0x3030_3030)).to_le_bytes());
    (scales, mins)
}

fn spread_scales(packed: &[u8], into: &mut Unpacked) {
    let (scales, mins) = scales_and_mins(packed);
    for (stretch, (&scale, &min)) in scales.iter().zip(&mins).enumerate() {
        into.scales[stretch] = [i16::from(scale); 16];
        into.mins[2 * stretch] = i16::from(min);
        into.mins[2 * stretch + 1] = i16::from(min);
    }
}

fn unpack_q4k(block: &[u8], into: &mut Unpacked) {
    into.d = half(block, 0);
    into.dm = half(block, 2);
    spread_scales(&block[4..16], into);
    for (nibbles, q) in block[16..144].chunks_exact(32).zip(into.q.chunks_exact_mut(64)) {
        let (low, high) = q.split_at_mut(32);
        for ((&byte, low), high) in nibbles.iter().zip(low).zip(high) {
            *low = byte & 0x0f;
            *high = byte >> 4;
        }
    }
}

fn unpack_q5k(block: &[u8], into: &mut Unpacked) {
    into.d = half(block, 0);
    into.dm = half(block, 2);
    spread_scales(&block[4..16], into);
    let fifth = &block[16..48];
    for (pair, (nibbles, q)) in block[48..176].chunks_exact(32).zip(into.q.chunks_exact_mut(64)).enumerate() {
        let (low, high) = q.split_at_mut(32);
        for (index, &byte) in nibbles.iter().enumerate() {
            low[index] = (byte & 0x0f) | ((fifth[index] >> (2 * pair) & 1) << 4);
            high[index] = (byte >> 4) | ((fifth[index] >> (2 * pair + 1) & 1) << 4);
        }
    }
}

fn unpack_q6k(block: &[u8], into: &mut Unpacked) {
    into.d = half(block, 208);
    into.dm = into.d;
    for part in 0..2 {
        let low = &block[64 * part..64 * part + 64];
        let high = &block[128 + 32 * part..128 + 32 * part + 32];
        let q = &mut into.q[128 * part..128 * part + 128];
        for index in 0..32 {
            q[index] = (low[index] & 0x0f) | ((high[index] & 0x03) << 4);
            q[index + 32] = (low[index + 32] & 0x0f) | ((high[index] & 0x0c) << 2);
            q[index + 64] = (low[index] >> 4) | (high[index] & 0x30);
            q[index + 96] = (low[index + 32] >> 4) | ((high[index] & 0xc0) >> 2);
        }
    }
    for (stretch, &scale) in block[192..208].iter().enumerate() {
        let scale = i16::from(scale as i8);
        into.scales[stretch / 2][8 * (stretch % 2)..8 * (stretch % 2) + 8].fill(scale);
        // The numbers are stored with 32 added.
        into.mins[stretch] = 32 * scale;
    }
}

/// Activations in 8 bits: rows of super-blocks with one scale each and the sum of every 16 (ggml's `block_q8_K`).
#[derive(Clone, Debug, Default)]
pub struct Activations {
    rows: usize,
    blocks: usize,
    q: Vec<i8>,
    sums: Vec<i16>,
    d: Vec<f32>,
}

impl Activations {
    /// Quantises `x` of shape `[rows, k]`; `k` must be a multiple of 256.
    pub fn quantize(&mut self, x: &[f32], k: usize) {
        debug_assert!(k.is_multiple_of(BLOCK) && x.len().is_multiple_of(k));
        self.rows = x.len() / k;
        self.blocks = k / BLOCK;
        self.q.resize(x.len(), 0);
        self.sums.resize(x.len() / 16, 0);
        self.d.resize(x.len() / BLOCK, 0.0);
        let blocks = x.chunks_exact(BLOCK).zip(self.q.chunks_exact_mut(BLOCK)).zip(self.sums.chunks_exact_mut(16));
        for (((x, q), sums), d) in blocks.zip(&mut self.d) {
            let largest = x.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            *d = largest / 127.0;
            for ((x, q), sum) in x.chunks_exact(16).zip(q.chunks_exact_mut(16)).zip(sums) {
                let mut total = 0;
                for (x, q) in x.iter().zip(q) {
                    *q = (x * inverse).round_ties_even() as i8;
                    total += i16::from(*q);
                }
                *sum = total;
            }
        }
    }

    /// Rows of activations.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// Multiplies rows `first..first + output.len() / x.rows()` of a weight matrix with every row of activations:
/// `output[n, row] = Σ_k w[first + n, k] · x[row, k]`, shape `[n, rows]`.
///
/// `weights` holds all rows of the matrix, each of `k / 256` super-blocks.
///
/// # Panics
/// When `weights` is too short for the rows asked for: the caller has checked the tensor's size.
pub fn multiply(isa: Isa, format: Format, weights: &[u8], first: usize, x: &Activations, output: &mut [f32]) {
    let row_bytes = x.blocks * format.block_bytes();
    let rows = x.rows;
    let mut tile: [Unpacked; TILE] = std::array::from_fn(|_| Unpacked::default());
    let mut sums = vec![[0f32; LANES]; TILE * rows];
    for (step, output) in output.chunks_mut(TILE * rows).enumerate() {
        let width = output.len() / rows;
        sums.fill([0.0; LANES]);
        for block in 0..x.blocks {
            for (lane, unpacked) in tile.iter_mut().enumerate().take(width) {
                let at = (first + step * TILE + lane) * row_bytes + block * format.block_bytes();
                format.unpack(&weights[at..at + format.block_bytes()], unpacked);
            }
            accumulate(isa, &tile[..width], x, block, &mut sums);
        }
        for (index, output) in output.iter_mut().enumerate() {
            *output = total(&sums[(index % rows) * TILE + index / rows]);
        }
    }
}

/// The sum of the lanes, always in the same order.
fn total(lanes: &[f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = *lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// Adds one super-block's part to the running sums, laid out `[row, TILE, LANES]`.
fn accumulate(isa: Isa, tile: &[Unpacked], x: &Activations, block: usize, sums: &mut [[f32; LANES]]) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => {
            // SAFETY: `Isa::detect` names these only where the processor has them.
            unsafe { x86::accumulate_avx2(tile, x, block, sums) }
        }
        _ => accumulate_scalar(tile, x, block, sums),
    }
}

fn accumulate_scalar(tile: &[Unpacked], x: &Activations, block: usize, sums: &mut [[f32; LANES]]) {
    for row in 0..x.rows {
        let at = row * x.blocks + block;
        let q = &x.q[at * BLOCK..(at + 1) * BLOCK];
        let sums16 = &x.sums[at * 16..(at + 1) * 16];
        for (lane, w) in tile.iter().enumerate() {
            let sum = &mut sums[row * TILE + lane];
            for (slot, sum) in sum.iter_mut().enumerate() {
                let mut product = 0i32;
                for stretch in 0..BLOCK / 32 {
                    for index in 4 * slot..4 * slot + 4 {
                        let number = i32::from(w.q[32 * stretch + index]) * i32::from(q[32 * stretch + index]);
                        product += i32::from(w.scales[stretch][index / 2]) * number;
                    }
                }
                let min: i32 = (2 * slot..2 * slot + 2).map(|i| i32::from(w.mins[i]) * i32::from(sums16[i])).sum();
                *sum = (x.d[at] * w.d).mul_add(product as f32, *sum);
                *sum = (-(x.d[at] * w.dm)).mul_add(min as f32, *sum);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Activations, BLOCK, LANES, TILE, Unpacked};

    /// The twin of [`super::accumulate_scalar`], eight lanes at a time: `vpmaddubsw` multiplies 32 weights with 32
    /// activations and adds pairs (at most 2·63·127, no overflow), `vpmaddwd` applies the scales.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn accumulate_avx2(tile: &[Unpacked], x: &Activations, block: usize, sums: &mut [[f32; LANES]]) {
        for row in 0..x.rows {
            let at = row * x.blocks + block;
            let q: &[i8; BLOCK] = x.q[at * BLOCK..][..BLOCK].try_into().expect("a super-block");
            let sums16: &[i16; 16] = x.sums[at * 16..][..16].try_into().expect("its sums");
            let out: &mut [[f32; LANES]] = &mut sums[row * TILE..][..tile.len()];
            // SAFETY: every load is of 32 bytes inside an array of a fixed, larger size; every store is of the eight
            // floats of `sum`.
            unsafe {
                let a: [__m256i; 8] =
                    std::array::from_fn(|stretch| _mm256_loadu_si256(q.as_ptr().add(32 * stretch).cast()));
                let sums16 = _mm256_loadu_si256(sums16.as_ptr().cast());
                for (w, sum) in tile.iter().zip(out) {
                    let mut product = _mm256_setzero_si256();
                    for (stretch, a) in a.iter().enumerate() {
                        let q = _mm256_load_si256(w.q.as_ptr().add(32 * stretch).cast());
                        let scales = _mm256_load_si256(w.scales.as_ptr().add(stretch).cast());
                        let pairs = _mm256_maddubs_epi16(q, *a);
                        product = _mm256_add_epi32(product, _mm256_madd_epi16(scales, pairs));
                    }
                    let mins = _mm256_madd_epi16(_mm256_load_si256(w.mins.as_ptr().cast()), sums16);
                    let d = _mm256_set1_ps(x.d[at] * w.d);
                    let dm = _mm256_set1_ps(-(x.d[at] * w.dm));
                    let mut total = _mm256_loadu_ps(sum.as_ptr());
                    total = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(product), total);
                    total = _mm256_fmadd_ps(dm, _mm256_cvtepi32_ps(mins), total);
                    _mm256_storeu_ps(sum.as_mut_ptr(), total);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};

    use super::*;

    const FORMATS: [(Format, GgmlDType); 3] =
        [(Format::Q4K, GgmlDType::Q4K), (Format::Q5K, GgmlDType::Q5K), (Format::Q6K, GgmlDType::Q6K)];

    /// Numbers without structure, the same on every machine.
    fn noise(count: usize, mut seed: u64) -> Vec<f32> {
        let mut next = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| next() + next() * next()).collect()
    }

    fn quantized(dtype: GgmlDType, rows: usize, k: usize) -> QTensor {
        let weights = Tensor::from_vec(noise(rows * k, 7), (rows, k), &Device::Cpu).unwrap();
        QTensor::quantize(&weights, dtype).unwrap()
    }

    #[test]
    fn dequantized_weights_are_candles() {
        for (format, dtype) in FORMATS {
            let tensor = quantized(dtype, 2, 512);
            let expected = tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let data = tensor.data().unwrap();
            let mut actual = vec![0.0; BLOCK];
            for (block, expected) in data.chunks_exact(format.block_bytes()).zip(expected.chunks_exact(BLOCK)) {
                format.dequantize(block, &mut actual);
                for (actual, expected) in actual.iter().zip(expected) {
                    assert!((actual - expected).abs() < 1e-6, "{format:?}: {actual} {expected}");
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_scalar_twin() {
        let k = 1024;
        for (format, dtype) in FORMATS {
            let tensor = quantized(dtype, 11, k);
            let data = tensor.data().unwrap();
            for rows in [1, 2, 5] {
                let mut x = Activations::default();
                x.quantize(&noise(rows * k, 3), k);
                let mut scalar = vec![0.0; 10 * rows];
                multiply(Isa::Scalar, format, &data, 1, &x, &mut scalar);
                let mut fast = vec![0.0; 10 * rows];
                multiply(Isa::best(), format, &data, 1, &x, &mut fast);
                assert_eq!(scalar, fast, "{format:?}, {rows} rows");
            }
        }
    }

    #[test]
    fn products_are_those_of_the_dequantized_matrix() {
        let (n, k, rows) = (6, 768, 3);
        let x = noise(rows * k, 11);
        for (format, dtype) in FORMATS {
            let tensor = quantized(dtype, n, k);
            let weights = tensor.dequantize(&Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
            let mut activations = Activations::default();
            activations.quantize(&x, k);
            let mut output = vec![0.0; n * rows];
            multiply(Isa::detect(), format, &tensor.data().unwrap(), 0, &activations, &mut output);
            for (index, actual) in output.iter().enumerate() {
                let row = &x[index % rows * k..][..k];
                let exact: f32 = weights[index / rows].iter().zip(row).map(|(w, x)| w * x).sum();
                assert!((actual - exact).abs() < 0.15, "{format:?}: {actual} {exact}");
            }
        }
    }

    #[test]
    fn a_row_does_not_feel_its_neighbours() {
        let (n, k, rows) = (5, 512, 4);
        let x = noise(rows * k, 5);
        let tensor = quantized(GgmlDType::Q4K, n, k);
        let data = tensor.data().unwrap();
        let product = |x: &[f32]| {
            let mut activations = Activations::default();
            activations.quantize(x, k);
            let mut output = vec![0.0; n * x.len() / k];
            multiply(Isa::detect(), Format::Q4K, &data, 0, &activations, &mut output);
            output
        };
        let together = product(&x);
        for row in 0..rows {
            let alone = product(&x[row * k..][..k]);
            assert!(alone.iter().enumerate().all(|(n, alone)| *alone == together[n * rows + row]));
        }
    }
}
