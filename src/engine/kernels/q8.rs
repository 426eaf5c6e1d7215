//! Products with 8-bit weights in blocks of 32, one half-precision scale a block (Q8_0 of the GGML family), for
//! matrices whose rows are no multiple of 256 long. Q4_0 and Q5_0 are the same numbers in fewer bits and are
//! widened to it without loss.
//!
//! Layouts: `block_q4_0`, `block_q5_0` and `block_q8_0` of ggml (`ggml-common.h`).

use super::Isa;

/// Weights of one block.
pub const BLOCK: usize = 32;
/// Bytes of one block.
pub const BLOCK_BYTES: usize = 34;
const LANES: usize = 8;

/// Activations in 8 bits with one scale for each 32.
#[derive(Clone, Debug, Default)]
pub struct Activations {
    rows: usize,
    blocks: usize,
    q: Vec<i8>,
    d: Vec<f32>,
}

impl Activations {
    /// Quantises `x` of shape `[rows, k]`; `k` must be a multiple of 32.
    pub fn quantize(&mut self, x: &[f32], k: usize) {
        debug_assert!(k.is_multiple_of(BLOCK) && x.len().is_multiple_of(k));
        self.rows = x.len() / k;
        self.blocks = k / BLOCK;
        self.q.resize(x.len(), 0);
        self.d.resize(x.len() / BLOCK, 0.0);
        for ((x, q), d) in x.chunks_exact(BLOCK).zip(self.q.chunks_exact_mut(BLOCK)).zip(&mut self.d) {
            let largest = x.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            *d = largest / 127.0;
            for (x, q) in x.iter().zip(q) {
                *q = (x * inverse).round_ties_even() as i8;
            }
        }
    }

    /// Rows of activations.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// Widens Q5_0 blocks (scale, 32 fifth bits, 32 nibbles) to Q8_0.
pub fn widen_q5_0(blocks: &[u8]) -> Vec<u8> {
    let mut wide = Vec::with_capacity(blocks.len() / 22 * BLOCK_BYTES);
    for block in blocks.chunks_exact(22) {
        let fifth = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
        let number = |nibble: u8, index: usize| (nibble | ((fifth >> index & 1) << 4) as u8).wrapping_sub(16);
        wide.extend_from_slice(&block[..2]);
        wide.extend(block[6..].iter().enumerate().map(|(index, byte)| number(byte & 0x0f, index)));
        wide.extend(block[6..].iter().enumerate().map(|(index, byte)| number(byte >> 4, index + 16)));
    }
    wide
}

/// Widens Q4_0 blocks (scale, 32 nibbles) to Q8_0.
pub fn widen_q4_0(blocks: &[u8]) -> Vec<u8> {
    let mut wide = Vec::with_capacity(blocks.len() / 18 * BLOCK_BYTES);
    for block in blocks.chunks_exact(18) {
        wide.extend_from_slice(&block[..2]);
        wide.extend(block[2..].iter().map(|byte| (byte & 0x0f).wrapping_sub(8)));
        wide.extend(block[2..].iter().map(|byte| (byte >> 4).wrapping_sub(8)));
    }
    wide
}

/// The 32 weights of one block in `f32`.
pub fn dequantize(block: &[u8], into: &mut [f32]) {
    let d = scale(block);
    for (weight, &q) in into.iter_mut().zip(&block[2..]) {
        *weight = d * f32::from(q as i8);
    }
}

fn scale(block: &[u8]) -> f32 {
    half::f16::from_le_bytes([block[0], block[1]]).to_f32_const()
}

/// As [`super::kquant::multiply`], for Q8_0 weights: `output[n, row] = Σ_k w[first + n, k] · x[row, k]`.
///
/// # Panics
/// When `weights` is too short for the rows asked for: the caller has checked the tensor's size.
pub fn multiply(isa: Isa, weights: &[u8], first: usize, x: &Activations, output: &mut [f32]) {
    let row_bytes = x.blocks * BLOCK_BYTES;
    for (n, output) in output.chunks_exact_mut(x.rows).enumerate() {
        let weights = &weights[(first + n) * row_bytes..][..row_bytes];
        for (row, output) in output.iter_mut().enumerate() {
            let q = &x.q[row * x.blocks * BLOCK..][..x.blocks * BLOCK];
            let d = &x.d[row * x.blocks..][..x.blocks];
            let lanes = match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 | Isa::Avx512 => {
                    // SAFETY: `Isa::detect` names these only where the processor has them.
                    unsafe { x86::dot_avx2(weights, q, d) }
                }
                _ => dot_scalar(weights, q, d),
            };
            let [a, b, c, d, e, f, g, h] = lanes;
            *output = ((a + e) + (c + g)) + ((b + f) + (d + h));
        }
    }
}

fn dot_scalar(weights: &[u8], q: &[i8], d: &[f32]) -> [f32; LANES] {
    let mut sums = [0.0f32; LANES];
    for ((block, q), d) in weights.chunks_exact(BLOCK_BYTES).zip(q.chunks_exact(BLOCK)).zip(d) {
        let scale = scale(block) * d;
        for (lane, sum) in sums.iter_mut().enumerate() {
            let numbers = 4 * lane..4 * lane + 4;
            let product: i32 = numbers.map(|index| i32::from(block[2 + index] as i8) * i32::from(q[index])).sum();
            *sum = scale.mul_add(product as f32, *sum);
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{BLOCK, BLOCK_BYTES, LANES, scale};

    /// The twin of [`super::dot_scalar`]. `vpmaddubsw` wants one unsigned side: the weights' signs go over to the
    /// activations.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn dot_avx2(weights: &[u8], q: &[i8], d: &[f32]) -> [f32; LANES] {
        let ones = _mm256_set1_epi16(1);
        let mut sums = _mm256_setzero_ps();
        for ((block, q), d) in weights.chunks_exact(BLOCK_BYTES).zip(q.chunks_exact(BLOCK)).zip(d) {
            // SAFETY: `block` has 34 bytes and `q` 32.
            let (w, a) =
                unsafe { (_mm256_loadu_si256(block.as_ptr().add(2).cast()), _mm256_loadu_si256(q.as_ptr().cast())) };
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w));
            let product = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, ones));
            sums = _mm256_fmadd_ps(_mm256_set1_ps(scale(block) * d), product, sums);
        }
        let mut lanes = [0.0; LANES];
        // SAFETY: `lanes` has eight floats.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sums) };
        lanes
    }
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};

    use super::*;

    fn noise(count: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    fn quantized(dtype: GgmlDType) -> (QTensor, Vec<f32>) {
        let weights = Tensor::from_vec(noise(5 * 160), (5, 160), &Device::Cpu).unwrap();
        let tensor = QTensor::quantize(&weights, dtype).unwrap();
        let exact = tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        (tensor, exact)
    }

    #[test]
    fn widening_loses_nothing() {
        type Widen = fn(&[u8]) -> Vec<u8>;
        let same: Widen = <[u8]>::to_vec;
        for (dtype, widen) in
            [(GgmlDType::Q4_0, widen_q4_0 as Widen), (GgmlDType::Q5_0, widen_q5_0), (GgmlDType::Q8_0, same)]
        {
            let (tensor, exact) = quantized(dtype);
            let wide = widen(&tensor.data().unwrap());
            let mut block = [0.0; BLOCK];
            for (bytes, exact) in wide.chunks_exact(BLOCK_BYTES).zip(exact.chunks_exact(BLOCK)) {
                dequantize(bytes, &mut block);
                assert_eq!(block, exact, "{dtype:?}");
            }
        }
    }

    #[test]
    fn products_are_the_scalar_twins_and_near_the_exact_ones() {
        let (tensor, exact) = quantized(GgmlDType::Q8_0);
        let x = noise(3 * 160 + 31)[31..].to_vec();
        let mut activations = Activations::default();
        activations.quantize(&x, 160);
        let data = tensor.data().unwrap();
        let (mut fast, mut scalar) = (vec![0.0; 12], vec![0.0; 12]);
        multiply(Isa::detect(), &data, 1, &activations, &mut fast);
        multiply(Isa::Scalar, &data, 1, &activations, &mut scalar);
        assert_eq!(fast, scalar);
        for (index, actual) in fast.iter().enumerate() {
            let weights = &exact[(1 + index / 3) * 160..][..160];
            let product: f32 = weights.iter().zip(&x[index % 3 * 160..]).map(|(w, x)| w * x).sum();
            assert!((actual - product).abs() < 0.2, "{actual} {product}");
        }
    }
}
