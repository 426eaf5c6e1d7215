//! The fewest edits between two lines of words when a phrase may also be moved, found as Tercom finds them: the
//! move that saves the most edits is made, again and again, until none saves any.
//!
//! The distance is a Levenshtein distance in a band around the diagonal. Its ties decide which words are aligned
//! and so which moves are tried: the order of preference is part of the result. So are the limits below.

/// Longest phrase that is moved, and how far a phrase and its place may be apart.
const MAX_SHIFT_SIZE: usize = 10;
const MAX_SHIFT_DISTANCE: usize = 50;
/// Half the width of the band.
const BEAM_WIDTH: usize = 25;
/// Moves that are tried for one pair of lines.
const MAX_SHIFT_CANDIDATES: usize = 1000;

/// A cell of the matrix is `cost << 2 | operation`, so that the smaller of two is the cheaper, and at equal cost
/// the preferred operation.
const SUBSTITUTE: u32 = 0;
const DELETE: u32 = 1;
const INSERT: u32 = 2;
const ONE: u32 = 1 << 2;
const UNREACHED: u32 = 1 << 30;

/// Room for the search of one pair of lines, kept from one to the next.
#[derive(Default)]
pub(in super::super) struct Search {
    /// The distances of the hypothesis as it stands: a row for each of its words and one before.
    matrix: Vec<u32>,
    /// Two rows, for the distance of a candidate.
    rows: [Vec<u32>; 2],
    /// The hypothesis as it stands, and with one phrase moved.
    words: Vec<u32>,
    moved: Vec<u32>,
    alignment: Alignment,
}

/// Which word of the hypothesis each word of the reference goes with, and where the two differ.
#[derive(Default)]
struct Alignment {
    /// For each word of the reference how many words of the hypothesis come before it or with it.
    before: Vec<usize>,
    reference_errors: Vec<bool>,
    hypothesis_errors: Vec<bool>,
}

/// A phrase of the hypothesis and where it goes.
#[derive(Clone, Copy)]
struct Shift {
    start: usize,
    length: usize,
    target: usize,
}

impl Search {
    /// The number of edits that turn `hypothesis` into `reference`.
    pub(in super::super) fn edits(&mut self, hypothesis: &[u32], reference: &[u32]) -> usize {
        if reference.is_empty() {
            return hypothesis.len();
        }
        self.words.clear();
        self.words.extend_from_slice(hypothesis);
        let band = Band::new(hypothesis.len(), reference.len());
        let (mut shifts, mut tried) = (0, 0);
        loop {
            let distance = self.fill(reference, &band);
            if distance == 0 {
                return shifts;
            }
            self.align(reference);
            let best = self.best_shift(reference, &band, distance, &mut tried);
            match best {
                Some((saved, shift)) if saved > 0 && tried < MAX_SHIFT_CANDIDATES => {
                    shift.perform(&self.words, &mut self.moved);
                    std::mem::swap(&mut self.words, &mut self.moved);
                    shifts += 1;
                }
                _ => return shifts + distance,
            }
        }
    }

    /// Fills the matrix for the hypothesis as it stands and gives the distance.
    fn fill(&mut self, reference: &[u32], band: &Band) -> usize {
        let width = reference.len() + 1;
        self.matrix.clear();
        self.matrix.extend((0..width as u32).map(|cost| cost << 2 | INSERT));
        self.matrix.resize(width * (self.words.len() + 1), UNREACHED);
        for (i, &word) in self.words.iter().enumerate() {
            let (above, row) = self.matrix[i * width..(i + 2) * width].split_at_mut(width);
            next_row(above, row, word, reference, band.columns(i + 1));
        }
        (self.matrix[self.matrix.len() - 1] >> 2) as usize
    }

    /// The distance of `moved`, which is the hypothesis up to word `same`.
    fn distance_of_moved(&mut self, reference: &[u32], band: &Band, same: usize) -> usize {
        let width = reference.len() + 1;
        let [above, row] = &mut self.rows;
        above.clear();
        above.extend_from_slice(&self.matrix[same * width..(same + 1) * width]);
        for (i, &word) in self.moved.iter().enumerate().skip(same) {
            row.clear();
            row.resize(width, UNREACHED);
            next_row(above, row, word, reference, band.columns(i + 1));
            std::mem::swap(above, row);
        }
        (above[width - 1] >> 2) as usize
    }

    /// Reads the alignment off the matrix.
    fn align(&mut self, reference: &[u32]) {
        let width = reference.len() + 1;
        let alignment = &mut self.alignment;
        alignment.before.clear();
        alignment.before.resize(reference.len(), 0);
        alignment.reference_errors.clear();
        alignment.reference_errors.resize(reference.len(), true);
        alignment.hypothesis_errors.clear();
        alignment.hypothesis_errors.resize(self.words.len(), true);
        let (mut i, mut j) = (self.words.len(), reference.len());
        while i > 0 || j > 0 {
            // Against an edge of the matrix there is one way to go, whatever the cell says.
            match self.matrix[i * width + j] & 3 {
                SUBSTITUTE if i > 0 && j > 0 => {
                    alignment.before[j - 1] = i;
                    let differ = self.words[i - 1] != reference[j - 1];
                    alignment.hypothesis_errors[i - 1] = differ;
                    alignment.reference_errors[j - 1] = differ;
                    (i, j) = (i - 1, j - 1);
                }
                DELETE if i > 0 => i -= 1,
                _ if j > 0 => {
                    alignment.before[j - 1] = i;
                    j -= 1;
                }
                _ => i -= 1,
            }
        }
    }

    /// The move that saves most edits; of those, the longest, then the first, then the one that goes least far
    /// right.
    fn best_shift(
        &mut self,
        reference: &[u32],
        band: &Band,
        distance: usize,
        tried: &mut usize,
    ) -> Option<(i64, Shift)> {
        let mut best: Option<((i64, usize, i64, i64), Shift)> = None;
        for start in 0..self.words.len() {
            let nearest = start.saturating_sub(MAX_SHIFT_DISTANCE);
            for place in nearest..reference.len().min(start + MAX_SHIFT_DISTANCE + 1) {
                let common = self.words[start..].iter().zip(&reference[place..]).take(MAX_SHIFT_SIZE);
                let longest = common.take_while(|(a, b)| a == b).count();
                for length in 1..=longest {
                    if !self.alignment.is_worth_moving(start, place, length) {
                        continue;
                    }
                    let mut previous = None;
                    // Before the phrase's place, then after each of its words there.
                    for offset in 0..=length {
                        let target = match place + offset {
                            0 => 0,
                            after if after <= reference.len() => self.alignment.before[after - 1],
                            _ => break,
                        };
                        if previous == Some(target) {
                            continue;
                        }
                        previous = Some(target);
                        let shift = Shift { start, length, target };
                        shift.perform(&self.words, &mut self.moved);
                        let saved = distance as i64 - self.distance_of_moved(reference, band, start.min(target)) as i64;
                        *tried += 1;
                        let rank = (saved, length, -(start as i64), -(target as i64));
                        if best.is_none_or(|(best, _)| rank > best) {
                            best = Some((rank, shift));
                        }
                    }
                    if *tried >= MAX_SHIFT_CANDIDATES {
                        return best.map(|(rank, shift)| (rank.0, shift));
                    }
                }
            }
        }
        best.map(|(rank, shift)| (rank.0, shift))
    }
}

impl Alignment {
    /// A phrase is moved only if it is wrong where it is, its place is wrong as well, and the two do not overlap.
    fn is_worth_moving(&self, start: usize, place: usize, length: usize) -> bool {
        let wrong = |errors: &[bool], at: usize| errors[at..at + length].contains(&true);
        // `before` counts words, the last of which is the aligned one; 0 is aligned with none.
        let overlap = (start + 1..start + length + 1).contains(&self.before[place]);
        wrong(&self.hypothesis_errors, start) && wrong(&self.reference_errors, place) && !overlap
    }
}

impl Shift {
    /// Writes `words` with the phrase moved into `moved`.
    fn perform(self, words: &[u32], moved: &mut Vec<u32>) {
        let Self { start, length, target } = self;
        let end = start + length;
        moved.clear();
        if target < start {
            for part in [&words[..target], &words[start..end], &words[target..start], &words[end..]] {
                moved.extend_from_slice(part);
            }
        } else {
            // A target inside the phrase means so many words after it.
            let after = if target > end { target } else { (length + target).min(words.len()) };
            for part in [&words[..start], &words[end..after], &words[start..end], &words[after..]] {
                moved.extend_from_slice(part);
            }
        }
    }
}

/// The part of each row near the diagonal of a matrix.
struct Band {
    rows: usize,
    columns: usize,
    ratio: f64,
    width: usize,
}

impl Band {
    fn new(hypothesis: usize, reference: usize) -> Self {
        let ratio = if hypothesis == 0 { 1.0 } else { reference as f64 / hypothesis as f64 };
        // Lines of very different length: the bands of two rows must still meet.
        let half = ratio / 2.0;
        let width = if (BEAM_WIDTH as f64) < half { (half + BEAM_WIDTH as f64).ceil() as usize } else { BEAM_WIDTH };
        Self { rows: hypothesis, columns: reference + 1, ratio, width }
    }

    fn columns(&self, row: usize) -> std::ops::Range<usize> {
        let diagonal = (row as f64 * self.ratio).floor() as usize;
        let end = if row == self.rows { self.columns } else { self.columns.min(diagonal + self.width) };
        diagonal.saturating_sub(self.width)..end
    }
}

/// Fills the `columns` of a row of the matrix from the row above.
fn next_row(above: &[u32], row: &mut [u32], word: u32, reference: &[u32], columns: std::ops::Range<usize>) {
    let start = columns.start.max(1);
    if columns.start == 0 {
        row[0] = ((above[0] & !3) + ONE) | DELETE;
    }
    let mut left = row[start - 1];
    let mut diagonal = above[start - 1];
    let cells = row[start..columns.end].iter_mut().zip(&above[start..columns.end]).zip(&reference[start - 1..]);
    for ((cell, &above), &other) in cells {
        let substitute = (diagonal & !3) + if word == other { 0 } else { ONE };
        let delete = ((above & !3) + ONE) | DELETE;
        let insert = ((left & !3) + ONE) | INSERT;
        left = substitute.min(delete).min(insert);
        *cell = left;
        diagonal = above;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edits(hypothesis: &[u32], reference: &[u32]) -> usize {
        Search::default().edits(hypothesis, reference)
    }

    /// Plain Levenshtein distance.
    fn levenshtein(a: &[u32], b: &[u32]) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i + 1);
            for (j, y) in b.iter().enumerate() {
                let cost = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
                diagonal = std::mem::replace(&mut row[j + 1], cost);
            }
        }
        row[b.len()]
    }

    proptest! {
        #[test]
        fn moving_never_costs_more_than_not_moving(
            a in prop::collection::vec(0u32..6, 0..24),
            b in prop::collection::vec(0u32..6, 1..24),
        ) {
            let edits = edits(&a, &b);
            prop_assert!(edits <= levenshtein(&a, &b));
            prop_assert!(edits >= a.len().abs_diff(b.len()));
            prop_assert_eq!(edits == 0, a == b);
        }

        #[test]
        fn a_move_keeps_every_word(start in 0usize..8, length in 1usize..4, target in 0usize..=11) {
            let words: Vec<u32> = (0..11).collect();
            let mut moved = Vec::new();
            Shift { start, length, target }.perform(&words, &mut moved);
            moved.sort_unstable();
            prop_assert_eq!(moved, words);
        }
    }

    #[test]
    fn lines_of_very_different_length_still_have_a_distance() {
        let long: Vec<u32> = (0..400).collect();
        assert_eq!(edits(&[399], &long), 399);
        assert_eq!(edits(&long, &[0]), 399);
        assert_eq!(edits(&[], &long), 400);
    }

    #[test]
    fn two_moves_are_two_edits() {
        assert_eq!(edits(&[4, 5, 1, 2, 3], &[1, 2, 3, 4, 5]), 1);
        assert_eq!(edits(&[9, 4, 5, 1, 2, 3, 8, 7], &[1, 2, 3, 4, 5, 9, 7, 8]), 3);
    }
}
