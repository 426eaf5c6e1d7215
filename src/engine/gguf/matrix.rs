//! Weight matrices and the one place where they are multiplied.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use memmap2::Mmap;
use rayon::prelude::*;

use crate::engine::kernels::kquant::{self, Format};
use crate::engine::kernels::{Isa, q8};

/// The threads and the instruction set that a model computes with.
pub struct Workers {
    pool: rayon::ThreadPool,
    isa: Isa,
}

impl Workers {
    /// `threads` threads, or as many as there are physical cores.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(threads: Option<usize>) -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = threads.unwrap_or_else(candle_core::utils::get_num_threads);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        Ok(Self { pool, isa: Isa::detect() })
    }

    /// Runs `work` inside the pool.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }
}

/// A matrix of shape `[n, k]`: `n` outputs of `k` inputs.
pub struct Matrix {
    /// Outputs.
    pub n: usize,
    /// Inputs.
    pub k: usize,
    /// The numbers.
    pub data: Data,
}

/// Where the numbers of a [`Matrix`] lie, and in which format.
pub enum Data {
    /// Super-blocks in the mapped file.
    KQuant {
        /// Their format.
        format: Format,
        /// The file.
        map: Arc<Mmap>,
        /// Their bytes.
        range: Range<usize>,
    },
    /// Q8_0 blocks in the mapped file.
    Q8Mapped {
        /// The file.
        map: Arc<Mmap>,
        /// Their bytes.
        range: Range<usize>,
    },
    /// Q8_0 blocks, widened from fewer bits.
    Q8(Vec<u8>),
    /// Plain floats.
    F32(Vec<f32>),
}

/// Activations of shape `[rows, k]`, quantised when the first matrix asks for it.
pub struct Input<'a> {
    x: &'a [f32],
    k: usize,
    kquant: OnceCell<kquant::Activations>,
    q8: OnceCell<q8::Activations>,
}

impl<'a> Input<'a> {
    /// Rows of `k` activations.
    pub fn new(x: &'a [f32], k: usize) -> Self {
        Self { x, k, kquant: OnceCell::new(), q8: OnceCell::new() }
    }

    fn kquant(&self) -> &kquant::Activations {
        self.kquant.get_or_init(|| {
            let mut activations = kquant::Activations::default();
            activations.quantize(self.x, self.k);
            activations
        })
    }

    fn q8(&self) -> &q8::Activations {
        self.q8.get_or_init(|| {
            let mut activations = q8::Activations::default();
            activations.quantize(self.x, self.k);
            activations
        })
    }
}

impl Matrix {
    /// `output[row, n] = Σ_k w[n, k] · x[row, k]`, shape `[rows, n]`.
    pub fn forward(&self, workers: &Workers, input: &Input<'_>) -> Vec<f32> {
        let rows = input.x.len() / self.k;
        let mut columns = vec![0.0; self.n * rows];
        // Eight pieces a thread: small enough to even out, large enough not to be counted.
        let pieces = 8 * workers.pool.current_num_threads();
        let step = self.n.div_ceil(pieces).next_multiple_of(4 * kquant::TILE);
        let isa = workers.isa;
        let multiply = |run: &(dyn Fn(usize, &mut [f32]) + Sync), columns: &mut [f32]| {
            workers.pool.install(|| {
                let pieces = columns.par_chunks_mut(step * rows).enumerate();
                pieces.for_each(|(piece, columns)| run(piece * step, columns));
            });
        };
        match &self.data {
            Data::KQuant { format, map, range } => {
                let (weights, x) = (&map[range.clone()], input.kquant());
                multiply(&|first, columns| kquant::multiply(isa, *format, weights, first, x, columns), &mut columns);
            }
            Data::Q8Mapped { map, range } => {
                let (weights, x) = (&map[range.clone()], input.q8());
                multiply(&|first, columns| q8::multiply(isa, weights, first, x, columns), &mut columns);
            }
            Data::Q8(weights) => {
                let x = input.q8();
                multiply(&|first, columns| q8::multiply(isa, weights, first, x, columns), &mut columns);
            }
            Data::F32(weights) => {
                let x = input.x;
                let k = self.k;
                let run = |first: usize, columns: &mut [f32]| {
                    for (n, outputs) in columns.chunks_exact_mut(rows).enumerate() {
                        let weights = &weights[(first + n) * k..][..k];
                        for (output, x) in outputs.iter_mut().zip(x.chunks_exact(k)) {
                            *output = dot(weights, x);
                        }
                    }
                };
                multiply(&run, &mut columns);
            }
        }
        if rows == 1 { columns } else { transpose(workers, &columns, rows) }
    }

    /// Row `index` in `f32`: the embedding of a token.
    pub fn row(&self, index: usize, into: &mut [f32]) {
        let blocks = |bytes: &[u8], size: usize, block: usize, into: &mut [f32], run: &dyn Fn(&[u8], &mut [f32])| {
            let row = &bytes[index * (self.k / block) * size..][..self.k / block * size];
            for (bytes, into) in row.chunks_exact(size).zip(into.chunks_exact_mut(block)) {
                run(bytes, into);
            }
        };
        match &self.data {
            Data::KQuant { format, map, range } => {
                let run = |bytes: &[u8], into: &mut [f32]| format.dequantize(bytes, into);
                blocks(&map[range.clone()], format.block_bytes(), kquant::BLOCK, into, &run);
            }
            Data::Q8Mapped { map, range } => {
                blocks(&map[range.clone()], q8::BLOCK_BYTES, q8::BLOCK, into, &q8::dequantize);
            }
            Data::Q8(bytes) => blocks(bytes, q8::BLOCK_BYTES, q8::BLOCK, into, &q8::dequantize),
            Data::F32(numbers) => into.copy_from_slice(&numbers[index * self.k..][..self.k]),
        }
    }
}

/// `[n, rows]` to `[rows, n]`.
fn transpose(workers: &Workers, columns: &[f32], rows: usize) -> Vec<f32> {
    let n = columns.len() / rows;
    let mut output = vec![0.0; columns.len()];
    workers.pool.install(|| {
        output.par_chunks_mut(n).enumerate().for_each(|(row, output)| {
            for (output, column) in output.iter_mut().zip(columns.chunks_exact(rows)) {
                *output = column[row];
            }
        });
    });
    output
}

/// `Σ a·b` in eight running sums, always added in the same order.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_blocks.remainder().iter().zip(b_blocks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_blocks.zip(b_blocks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}
