//! When a translation is finished, and when it only has to be stopped.

/// Why decoding of a sentence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The model said that it is done.
    End,
    /// A line end that the source does not have: what follows is another text.
    LineEnd,
    /// The same tokens over and over; the length without the repetitions.
    Loop {
        /// Tokens to keep.
        keep: usize,
    },
    /// As long as the bound for this source.
    Length,
    /// The context is full.
    Context,
}

impl Stop {
    /// What to tell about it; nothing for a proper end.
    pub fn warning(self, tokens: usize) -> Option<String> {
        match self {
            Self::End => None,
            Self::LineEnd => Some("the model began a new line that the source does not have: cut there".into()),
            Self::Loop { keep } => {
                Some(format!("the model repeated itself: stopped at token {tokens}, cut to {keep} tokens"))
            }
            Self::Length => Some(format!("no end after {tokens} tokens, more than the source can need: cut there")),
            Self::Context => Some(format!("the model's context is full after {tokens} tokens: cut there")),
        }
    }
}

/// Most tokens that a translation of `source_tokens` tokens may take.
pub fn length_bound(source_tokens: usize) -> usize {
    2 * source_tokens + 32
}

/// Longest stretch that is looked for again.
const LONGEST_PERIOD: usize = 24;
/// Repetitions that no sentence has.
const REPEATS: usize = 4;
/// Fewer repeated tokens may be a stammer or a row of dots.
const FEWEST_TOKENS: usize = 12;

/// Finds out whether `tokens` ends in the same stretch four times or more, and gives the length up to the end of
/// its first occurrence.
pub fn repetition(tokens: &[u32]) -> Option<usize> {
    for period in 1..=LONGEST_PERIOD.min(tokens.len() / REPEATS) {
        let same = tokens.iter().rev().zip(tokens.iter().rev().skip(period)).take_while(|(a, b)| a == b).count();
        if same >= period * (REPEATS - 1) && same + period >= FEWEST_TOKENS {
            return Some(tokens.len() - same);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_cut_to_their_first_turn() {
        let looped: Vec<u32> = [9, 8].into_iter().chain([1, 2, 3].repeat(5)).collect();
        assert_eq!(repetition(&looped), Some(5));
        assert_eq!(repetition(&[7; 12]), Some(1));
    }

    #[test]
    fn ordinary_repetition_is_no_loop() {
        assert_eq!(repetition(&[1, 2, 1, 2, 1, 2, 5, 6, 7, 8, 9, 10]), None);
        assert_eq!(repetition(&[7; 11]), None);
        assert_eq!(repetition(&[]), None);
    }
}
