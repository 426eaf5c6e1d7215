//! The random numbers of `numpy.random.default_rng(seed)`, so that the same seed draws the same samples as in
//! sacreBLEU: the seed sequence, the generator PCG XSL-RR 128/64 (O'Neill, 2014, "PCG: A Family of Simple Fast
//! Space-Efficient Statistically Good Algorithms"), and its ways to numbers below a bound and to bits (Lemire,
//! 2019, "Fast Random Integer Generation in an Interval").

/// A generator.
#[derive(Clone, Debug)]
pub(super) struct Generator {
    state: u128,
    increment: u128,
    /// The half of the last 64 bits that has not been used yet.
    half: Option<u32>,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        let words = seed_words(seed);
        let wide = |at: usize| u128::from(words[at]) << 64 | u128::from(words[at + 1]);
        let mut generator = Self { state: 0, increment: wide(2) << 1 | 1, half: None };
        generator.step();
        generator.state = generator.state.wrapping_add(wide(0));
        generator.step();
        generator
    }

    /// Fills `numbers` with numbers below `bound`.
    pub(super) fn fill_below(&mut self, bound: u32, numbers: &mut [u32]) {
        if bound <= 1 {
            return numbers.fill(0);
        }
        // Products with a low half under the threshold would make some numbers likelier than others.
        let threshold = bound.wrapping_neg() % bound;
        for number in numbers {
            let mut product = u64::from(self.next_u32()) * u64::from(bound);
            while (product as u32) < threshold {
                product = u64::from(self.next_u32()) * u64::from(bound);
            }
            *number = (product >> 32) as u32;
        }
    }

    /// Bits, one after the other: each draw of 32 gives them from the lowest up.
    pub(super) fn bits(&mut self) -> impl FnMut() -> bool + '_ {
        let (mut buffer, mut left) = (0u32, 0);
        move || {
            if left == 0 {
                (buffer, left) = (self.next_u32(), 32);
            }
            let bit = buffer & 1 == 1;
            buffer >>= 1;
            left -= 1;
            bit
        }
    }

    fn next_u32(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        let word = folded.rotate_right((self.state >> 122) as u32);
        self.half = Some((word >> 32) as u32);
        word as u32
    }

    fn step(&mut self) {
        const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }
}

/// The first four words of numpy's seed sequence.
fn seed_words(seed: u64) -> [u64; 4] {
    let mut hash = 0x43b0_d7e5u32;
    let mut hashed = |value: u32| {
        let value = value ^ hash;
        hash = hash.wrapping_mul(0x931e_8875);
        let value = value.wrapping_mul(hash);
        value ^ value >> 16
    };
    let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0].map(&mut hashed);
    for source in 0..4 {
        for target in (0..4).filter(|&target| target != source) {
            let other = hashed(pool[source]).wrapping_mul(0x4973_f715);
            let mixed = pool[target].wrapping_mul(0xca01_f9dd).wrapping_sub(other);
            pool[target] = mixed ^ mixed >> 16;
        }
    }
    let mut hash = 0x8b51_f9ddu32;
    let mut word = |index: usize| {
        let value = pool[index % 4] ^ hash;
        hash = hash.wrapping_mul(0x58f3_8ded);
        let value = value.wrapping_mul(hash);
        u64::from(value ^ value >> 16)
    };
    std::array::from_fn(|index| word(2 * index) | word(2 * index + 1) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers below are numpy 2.4's for `default_rng(12345)`.
    #[test]
    fn the_numbers_are_numpys() {
        assert_eq!(
            seed_words(12345),
            [13091511679009522556, 13538552136045918767, 7269824232120749972, 4520223790601600371]
        );
        let mut numbers = [0; 12];
        Generator::new(12345).fill_below(1000, &mut numbers);
        assert_eq!(numbers, [699, 227, 788, 316, 204, 797, 642, 676, 988, 391, 839, 332]);
        let mut generator = Generator::new(12345);
        let mut bit = generator.bits();
        let bits: String = (0..80).map(|_| if bit() { '1' } else { '0' }).collect();
        assert_eq!(bits, "10111001100000111111111101001101101100011000110101001100010111000111101100100011");
    }
}
