//! Kernels: the inner loops that everything else waits for, one file a number format.
//!
//! Each kernel has a scalar twin, written to be read, that it is tested against bit for bit or within a stated
//! error. The instruction set is chosen when the program runs ([`Isa::detect`]), so that one binary serves old and
//! new machines; `TRAGHETTO_ISA=scalar` or `avx2` forces a lower one for tests and measurements.
//!
//! This is the only folder with `unsafe` code, and all of it is loads and stores through checked slices.

pub mod int8;
pub mod kquant;
pub mod map;
pub mod q8;

/// Instruction sets that kernels are written for, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust; the truth of the others.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// x86-64 with AVX-512 F, BW and VL.
    Avx512,
    /// aarch64, all of which has NEON.
    Neon,
}

impl Isa {
    /// The best instruction set of this processor, or the one `TRAGHETTO_ISA` names if that is lower.
    pub fn detect() -> Self {
        let best = Self::best();
        match std::env::var("TRAGHETTO_ISA").as_deref() {
            Ok("scalar") => Self::Scalar,
            Ok("avx2") => best.min(Self::Avx2),
            _ => best,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn best() -> Self {
        let avx2 =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        match (avx2, avx512) {
            (true, true) => Self::Avx512,
            (true, false) => Self::Avx2,
            _ => Self::Scalar,
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn best() -> Self {
        Self::Neon
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn best() -> Self {
        Self::Scalar
    }
}
