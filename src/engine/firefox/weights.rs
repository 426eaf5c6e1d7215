//! The layers' weights, taken out of a model file: every shape is checked against the configuration.

use std::collections::BTreeMap;

use super::FormatError;
use super::binary::Tensor;
use super::math;
use crate::engine::Precision;
use crate::engine::kernels::Isa;
use crate::engine::kernels::int8::{self, Activations, Matrix, SHIFT};

/// What a thread needs to multiply: room for quantised activations.
pub struct Scratch {
    /// Instruction set of the kernels.
    pub isa: Isa,
    activations: Activations,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

impl Scratch {
    /// Empty room.
    pub fn new(isa: Isa) -> Self {
        Self { isa, activations: Activations::default(), scales: Vec::new(), sums: Vec::new() }
    }
}

/// The tensors of a model with the way they are to be used.
pub struct Store<'a> {
    /// Tensors by name.
    pub tensors: &'a BTreeMap<&'a str, Tensor<'a>>,
    /// Arithmetic of the matrix products.
    pub precision: Precision,
}

impl Store<'_> {
    fn tensor(&self, name: &str) -> Result<&Tensor<'_>, FormatError> {
        self.tensors.get(name).ok_or_else(|| FormatError::Missing(format!("the tensor {name}")))
    }

    /// A row of floats.
    fn floats(&self, name: &str, count: usize) -> Result<Vec<f32>, FormatError> {
        let tensor = self.tensor(name)?;
        let floats = tensor.floats().filter(|floats| floats.len() == count);
        floats.ok_or_else(|| {
            FormatError::Damaged(format!("tensor {name} is {:?} {:?}, not {count} floats", tensor.kind, tensor.shape))
        })
    }

    /// The scale that activations are quantised with before they meet the matrix `name`, where the model has it.
    fn activation_scale(&self, name: &str) -> Result<Option<f32>, FormatError> {
        let Some(tensor) = self.tensors.get(format!("{name}_QuantMultA").as_str()) else { return Ok(None) };
        let scale = match (tensor.floats(), tensor.integers()) {
            (Some(scale), _) => scale.first().copied(),
            // Marian's converter quantises everything whose name has "Wemb" in it, this scale included.
            (_, Some((scale, multiplier))) => scale.first().map(|&scale| f32::from(scale as i8) / multiplier),
            _ => None,
        };
        match scale {
            Some(scale) if scale.is_finite() && scale > 0.0 => Ok(Some(scale)),
            _ => Err(FormatError::Damaged(format!("tensor {name}_QuantMultA is no scale"))),
        }
    }

    /// The integers and the multiplier of an 8-bit matrix of this shape.
    fn integers(&self, name: &str, shape: [usize; 2]) -> Result<Option<(Vec<i8>, f32)>, FormatError> {
        let tensor = self.tensor(name)?;
        if tensor.shape != shape {
            let cause = format!("tensor {name} has the shape {:?}, not {shape:?}", tensor.shape);
            return Err(FormatError::Damaged(cause));
        }
        let Some((integers, multiplier)) = tensor.integers() else { return Ok(None) };
        if !multiplier.is_finite() || multiplier <= 0.0 {
            return Err(FormatError::Damaged(format!("tensor {name} has the multiplier {multiplier}")));
        }
        Ok(Some((integers.iter().map(|&integer| (integer as i8).max(-127)).collect(), multiplier)))
    }

    /// An affine layer `inputs → outputs`; without a name for the bias a linear one.
    pub fn linear(&self, name: &str, bias: Option<&str>, [inputs, outputs]: [usize; 2]) -> Result<Linear, FormatError> {
        let bias = match bias {
            Some(bias) => self.floats(bias, outputs)?,
            None => vec![0.0; outputs],
        };
        let Some((integers, multiplier)) = self.integers(name, [inputs, outputs])? else {
            let weights = self.floats(name, inputs * outputs)?;
            let transposed = (0..inputs * outputs).map(|at| weights[at % inputs * outputs + at / inputs]);
            return Ok(Linear::Float { weights: transposed.collect(), bias });
        };
        if self.precision == Precision::F32 {
            let unit = 1.0 / multiplier;
            return Ok(Linear::Float { weights: integers.iter().map(|&q| f32::from(q) * unit).collect(), bias });
        }
        let matrix = Matrix::pack(&integers, outputs, inputs);
        Ok(match self.activation_scale(name)? {
            Some(scale) => {
                let bias = shifted_bias(&bias, matrix.sums(), scale, multiplier);
                Linear::Int8 { matrix, scale, unit: 1.0 / (scale * multiplier), bias }
            }
            None => Linear::Dynamic { matrix, unit: 1.0 / multiplier, bias },
        })
    }

    /// A layer normalisation.
    pub fn norm(&self, prefix: &str, suffix: &str, dim: usize) -> Result<Norm, FormatError> {
        Ok(Norm {
            scale: self.floats(&format!("{prefix}_ln_scale{suffix}"), dim)?,
            bias: self.floats(&format!("{prefix}_ln_bias{suffix}"), dim)?,
        })
    }

    /// A matrix with one row a token, with the bias of each token where it is an output layer.
    pub fn tokens(&self, name: &str, bias: Option<&str>, shape: [usize; 2]) -> Result<Tokens, FormatError> {
        let bias = match bias {
            Some(bias) => self.floats(bias, shape[0])?,
            None => Vec::new(),
        };
        let Some((integers, multiplier)) = self.integers(name, shape)? else {
            return Ok(Tokens { dim: shape[1], rows: Rows::Float(self.floats(name, shape[0] * shape[1])?), bias });
        };
        let sums: Vec<i32> =
            integers.chunks_exact(shape[1]).map(|row| row.iter().map(|&q| i32::from(q)).sum()).collect();
        // Marian gives the shortlisted matrix no name, so its scale is that of "none".
        let scale = match self.activation_scale("none")? {
            None => self.activation_scale(name)?,
            scale => scale,
        };
        let scale = scale.filter(|_| self.precision == Precision::Int8);
        let shifted = match scale {
            Some(scale) if !bias.is_empty() => shifted_bias(&bias, &sums, scale, multiplier),
            _ => Vec::new(),
        };
        Ok(Tokens {
            dim: shape[1],
            rows: Rows::Int8 { integers, unit: 1.0 / multiplier, multiplier, scale, shifted },
            bias,
        })
    }
}

/// The bias less what the shift of the activations adds to each sum, with the reference's order of roundings.
fn shifted_bias(bias: &[f32], sums: &[i32], scale: f32, multiplier: f32) -> Vec<f32> {
    let unit = -((127.0 / scale) * (127.0 / multiplier)) / 127.0;
    bias.iter().zip(sums).map(|(bias, &sum)| sum as f32 * unit + bias).collect()
}

/// `x · W + b`.
pub enum Linear {
    /// 8-bit weights, activations quantised with the model's own scale.
    Int8 {
        /// `[outputs, inputs]`.
        matrix: Matrix,
        /// Scale of the activations.
        scale: f32,
        /// What one unit of the sums is worth.
        unit: f32,
        /// Bias, corrected for the shift.
        bias: Vec<f32>,
    },
    /// 8-bit weights of a model without activation scales: each row of activations has its own.
    Dynamic {
        /// `[outputs, inputs]`.
        matrix: Matrix,
        /// What one unit of the weights is worth.
        unit: f32,
        /// Bias.
        bias: Vec<f32>,
    },
    /// 32-bit floats.
    Float {
        /// `[outputs, inputs]`.
        weights: Vec<f32>,
        /// Bias.
        bias: Vec<f32>,
    },
}

impl Linear {
    /// `output[row] = x[row] · W + b` for rows of `x` of shape `[rows, inputs]`.
    pub fn apply(&self, x: &[f32], scratch: &mut Scratch, output: &mut Vec<f32>) {
        let isa = scratch.isa;
        match self {
            Self::Int8 { matrix, scale, unit, bias } => {
                scratch.activations.quantize(x, matrix.depth(), *scale);
                let width = matrix.outputs();
                output.resize(scratch.activations.rows() * width, 0.0);
                int8::multiply(isa, &scratch.activations, matrix, |row, first, sums| {
                    let output = &mut output[row * width + first..][..sums.len()];
                    for ((output, &sum), bias) in output.iter_mut().zip(sums).zip(&bias[first..]) {
                        *output = sum as f32 * unit + bias;
                    }
                });
            }
            Self::Dynamic { matrix, unit, bias } => {
                scratch.activations.quantize_rows(x, matrix.depth(), &mut scratch.scales);
                let (width, scales) = (matrix.outputs(), &scratch.scales);
                output.resize(scratch.activations.rows() * width, 0.0);
                int8::multiply(isa, &scratch.activations, matrix, |row, first, sums| {
                    let output = &mut output[row * width + first..][..sums.len()];
                    let offsets = matrix.sums()[first..].iter().zip(&bias[first..]);
                    for ((output, &sum), (&weights, bias)) in output.iter_mut().zip(sums).zip(offsets) {
                        *output = (sum - SHIFT * weights) as f32 * (unit / scales[row]) + bias;
                    }
                });
            }
            Self::Float { weights, bias } => {
                let inputs = weights.len() / bias.len().max(1);
                output.clear();
                for x in x.chunks_exact(inputs) {
                    output.extend(weights.chunks_exact(inputs).zip(bias).map(|(row, bias)| math::dot(x, row) + bias));
                }
            }
        }
    }

    /// `second(relu(self(x)))`, the hidden row quantised as it is made where the arithmetic allows.
    pub fn apply_relu(
        &self,
        second: &Self,
        x: &[f32],
        scratch: &mut Scratch,
        hidden: &mut Vec<f32>,
        output: &mut Vec<f32>,
    ) {
        if let (
            Self::Int8 { matrix, scale, unit, bias },
            Self::Int8 { matrix: second, scale: second_scale, unit: second_unit, bias: second_bias },
        ) = (self, second)
        {
            let isa = scratch.isa;
            scratch.activations.quantize(x, matrix.depth(), *scale);
            let rows = scratch.activations.rows();
            let mut quantized = Activations::default();
            quantized.reshape(rows, second.depth());
            int8::multiply(isa, &scratch.activations, matrix, |row, first, sums| {
                let mut values = [0.0; 16];
                for ((value, &sum), bias) in values.iter_mut().zip(sums).zip(&bias[first..]) {
                    *value = (sum as f32 * unit + bias).max(0.0);
                }
                quantized.put(row, first, &values[..sums.len()], *second_scale);
            });
            let width = second.outputs();
            output.resize(rows * width, 0.0);
            int8::multiply(isa, &quantized, second, |row, first, sums| {
                let output = &mut output[row * width + first..][..sums.len()];
                for ((output, &sum), bias) in output.iter_mut().zip(sums).zip(&second_bias[first..]) {
                    *output = sum as f32 * second_unit + bias;
                }
            });
            return;
        }
        self.apply(x, scratch, hidden);
        for x in hidden.iter_mut() {
            *x = x.max(0.0);
        }
        second.apply(hidden, scratch, output);
    }
}

/// Layer normalisation.
pub struct Norm {
    scale: Vec<f32>,
    bias: Vec<f32>,
}

impl Norm {
    /// Normalises each row of `x` in place.
    pub fn apply(&self, x: &mut [f32]) {
        for row in x.chunks_exact_mut(self.scale.len()) {
            math::layer_norm(row, &self.scale, &self.bias);
        }
    }
}

/// A matrix with a row for each token: embedding, output layer, or both.
pub struct Tokens {
    dim: usize,
    rows: Rows,
    bias: Vec<f32>,
}

enum Rows {
    Int8 { integers: Vec<i8>, unit: f32, multiplier: f32, scale: Option<f32>, shifted: Vec<f32> },
    Float(Vec<f32>),
}

impl Tokens {
    /// Writes the embedding of `token`, times `factor`, into `x`. A token outside the vocabulary gives zeros.
    pub fn embed(&self, token: u32, factor: f32, x: &mut [f32]) {
        let range = token as usize * self.dim..(token as usize + 1) * self.dim;
        match &self.rows {
            Rows::Int8 { integers, unit, .. } => match integers.get(range) {
                Some(row) => {
                    for (x, &q) in x.iter_mut().zip(row) {
                        *x = f32::from(q) * unit * factor;
                    }
                }
                None => x.fill(0.0),
            },
            Rows::Float(rows) => match rows.get(range) {
                Some(row) => x.iter_mut().zip(row).for_each(|(x, w)| *x = w * factor),
                None => x.fill(0.0),
            },
        }
    }

    /// Logits of the `picked` tokens for the last hidden row `x`.
    pub fn logits(&self, x: &[f32], picked: &[u32], scratch: &mut Scratch, output: &mut Vec<f32>) {
        output.clear();
        match &self.rows {
            Rows::Int8 { integers, multiplier, scale: Some(scale), shifted, .. } => {
                scratch.activations.quantize(x, self.dim, *scale);
                scratch.sums.resize(picked.len(), 0);
                int8::multiply_picked(scratch.isa, (&scratch.activations, 0), integers, picked, &mut scratch.sums);
                let unit = 1.0 / (scale * multiplier);
                let logits = scratch.sums.iter().zip(picked);
                output.extend(logits.map(|(&sum, &token)| sum as f32 * unit + shifted[token as usize]));
            }
            Rows::Int8 { integers, unit, .. } => {
                let mut row = vec![0.0; self.dim];
                output.extend(picked.iter().map(|&token| {
                    let integers = &integers[token as usize * self.dim..][..self.dim];
                    row.iter_mut().zip(integers).for_each(|(w, &q)| *w = f32::from(q) * unit);
                    math::dot(x, &row) + self.bias[token as usize]
                }));
            }
            Rows::Float(rows) => output.extend(picked.iter().map(|&token| {
                math::dot(x, &rows[token as usize * self.dim..][..self.dim]) + self.bias[token as usize]
            })),
        }
    }
}
