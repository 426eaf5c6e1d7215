//! The float arithmetic between the matrix products, on plain slices, written so that the compiler vectorises it.
//!
//! Each function works on one row and sums in a fixed order: a row's result never depends on the rows beside it.

const LANES: usize = 4;

/// Sum in eight lanes.
fn sum_of(x: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += term(x);
        }
    }
    let rest: f32 = rest.iter().map(|&x| term(x)).sum();
    let [a, b, c, d] = lanes;
    ((a + c) + (b + d)) + rest
}

/// Largest number.
pub fn largest(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |largest, &x| largest.max(x))
}

/// `Σ a·b`.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [[0.0f32; LANES]; 2];
    let ((a_whole, a_rest), (b_whole, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a_whole.iter().zip(b_whole) {
        for half in 0..2 {
            for lane in 0..LANES {
                lanes[half][lane] += a[half * LANES + lane] * b[half * LANES + lane];
            }
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    let lanes: [f32; LANES] = std::array::from_fn(|lane| lanes[0][lane] + lanes[1][lane]);
    sum_of(&lanes, |x| x) + rest
}

/// `into += factor · x`.
pub fn add_scaled(into: &mut [f32], factor: f32, x: &[f32]) {
    for (into, &x) in into.iter_mut().zip(x) {
        *into = factor.mul_add(x, *into);
    }
}

/// `into += x`.
pub fn add(into: &mut [f32], x: &[f32]) {
    for (into, &x) in into.iter_mut().zip(x) {
        *into += x;
    }
}

/// Layer normalisation of one row in place (Ba et al. 2016), with Marian's ε of 1e-9 under the root.
pub fn layer_norm(x: &mut [f32], scale: &[f32], bias: &[f32]) {
    let count = x.len() as f32;
    let mean = sum_of(x, |x| x) / count;
    let variance = sum_of(x, |x| (x - mean) * (x - mean)) / count;
    let sigma = (variance + 1e-9).sqrt();
    for ((x, scale), bias) in x.iter_mut().zip(scale).zip(bias) {
        *x = scale * ((*x - mean) / sigma) + bias;
    }
}

/// `e^x` within two units in the last place for −87 ≤ x ≤ 88, and those ends' values beyond: x = n·ln 2 + r, a
/// polynomial for r (the coefficients are those of Cephes `expf`), n put into the exponent.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4f32;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    (p * (r * r) + r + 1.0) * power
}

/// Softmax of one row in place.
pub fn softmax(x: &mut [f32]) {
    let top = largest(x);
    for x in x.iter_mut() {
        *x = exp(*x - top);
    }
    let sum = sum_of(x, |x| x);
    for x in x.iter_mut() {
        *x /= sum;
    }
}

/// `ln Σ e^x`.
pub fn log_sum_exp(x: &[f32]) -> f32 {
    let top = largest(x);
    top + sum_of(x, |x| exp(x - top)).ln()
}

/// The simple recurrent unit without weights (Kim et al. 2019): `c ← σ(f)·c + (1 − σ(f))·x`, giving `relu(c)` in `x`.
pub fn ssru(cell: &mut [f32], x: &mut [f32], forget: &[f32]) {
    for ((cell, x), &forget) in cell.iter_mut().zip(x).zip(forget) {
        let gate = 1.0 / (1.0 + exp(-forget));
        *cell = gate * *cell + (1.0 - gate) * *x;
        *x = cell.max(0.0);
    }
}

/// The sinusoidal signal of `position` (Vaswani et al. 2017; Marian puts all sines first, then the cosines).
pub fn position_signal(position: usize, dim: usize) -> Vec<f32> {
    let half = dim / 2;
    let increment = 10_000f32.ln() / (half as f32 - 1.0).max(1.0);
    let angles = (0..half).map(|index| position as f32 * (index as f32 * -increment).exp());
    let mut signal: Vec<f32> = angles.clone().map(f32::sin).chain(angles.map(f32::cos)).collect();
    signal.resize(dim, 0.0);
    signal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_a_few_units_in_the_last_place() {
        for step in -8700..8800 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 3e-7, "exp({x}) is off by {error:e}");
        }
        assert!(exp(-1e9) < 1e-37 && exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn rows_of_any_length_are_summed_whole() {
        for length in [1, 7, 8, 9, 16, 33, 100] {
            let x: Vec<f32> = (0..length).map(|index| (index as f32 * 0.7).sin()).collect();
            let exact: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            assert!((f64::from(dot(&x, &x)) - exact).abs() < 1e-5);
            let mut weights = x.clone();
            softmax(&mut weights);
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            let exact = x.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
            assert!((f64::from(log_sum_exp(&x)) - exact).abs() < 1e-6);
            assert_eq!(largest(&x), x.iter().copied().fold(f32::MIN, f32::max));
        }
    }

    #[test]
    fn the_cell_keeps_what_the_gate_says() {
        let (mut cell, mut x) = ([2.0, 2.0, -2.0], [8.0, 8.0, -8.0]);
        ssru(&mut cell, &mut x, &[100.0, 0.0, -100.0]);
        assert_eq!((cell, x), ([2.0, 5.0, -8.0], [2.0, 5.0, 0.0]));
    }
}
