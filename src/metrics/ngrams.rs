//! Counts of common n-grams, of words or of characters alike.
//!
//! The n-grams of the references are the paths of a trie; an n-gram that is not there has no longer one there
//! either, so the walk along a hypothesis ends at its first miss. The trie's edges live in one open-addressing
//! table that is emptied by moving on to the next generation, not by touching its slots.

const ROOT: u32 = 0;

/// The n-grams of the references of one sentence, with how often each occurs.
pub(super) struct Trie {
    /// Open addressing, a power of two long.
    edges: Vec<Edge>,
    nodes: Vec<Node>,
    generation: u32,
    /// Number of the reference being added, from 1.
    reference: u32,
}

#[derive(Clone, Copy, Default)]
struct Edge {
    parent: u32,
    symbol: u32,
    child: u32,
    /// The edge is there only if this is the trie's generation.
    generation: u32,
}

#[derive(Clone, Copy, Default)]
struct Node {
    /// The most occurrences in one reference.
    most: u32,
    /// Occurrences in the reference that visited it last, and its number.
    here: u32,
    reference: u32,
    /// Occurrences in the hypothesis so far.
    hypothesis: u32,
}

impl Default for Trie {
    fn default() -> Self {
        Self { edges: vec![Edge::default(); 4096], nodes: vec![Node::default()], generation: 1, reference: 0 }
    }
}

impl Trie {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.nodes.truncate(1);
        self.reference = 0;
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.edges.fill(Edge::default());
            self.generation = 1;
        }
    }

    /// Adds the n-grams of one reference, up to `order`. An n-gram counts as often as it occurs in the reference
    /// that has it most often.
    pub(super) fn add(&mut self, symbols: &[u32], order: usize) {
        self.reference += 1;
        for start in 0..symbols.len() {
            let mut node = ROOT;
            for &symbol in &symbols[start..symbols.len().min(start + order)] {
                node = self.child_or_new(node, symbol);
                let node = &mut self.nodes[node as usize];
                if node.reference != self.reference {
                    (node.reference, node.here) = (self.reference, 0);
                }
                node.here += 1;
                node.most = node.most.max(node.here);
            }
        }
    }

    /// Adds to `matches[n - 1]` how many n-grams of `symbols` the references have, each at most as often as they
    /// have it. To be called once after the references.
    pub(super) fn matches(&mut self, symbols: &[u32], matches: &mut [f64]) {
        for start in 0..symbols.len() {
            let mut node = ROOT;
            for (&symbol, matches) in symbols[start..].iter().zip(matches.iter_mut()) {
                match self.edges[self.find(node, symbol)] {
                    edge if edge.generation == self.generation => node = edge.child,
                    _ => break,
                }
                let node = &mut self.nodes[node as usize];
                node.hypothesis += 1;
                if node.hypothesis <= node.most {
                    *matches += 1.0;
                }
            }
        }
    }

    /// Where the edge from `parent` along `symbol` is, or the free slot where it would be.
    fn find(&self, parent: u32, symbol: u32) -> usize {
        let mask = self.edges.len() - 1;
        let key = (u64::from(parent) << 32) | u64::from(symbol);
        // Fibonacci hashing: the high bits of the product depend on all bits of the key.
        let mut slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        loop {
            let edge = &self.edges[slot];
            if edge.generation != self.generation || (edge.parent == parent && edge.symbol == symbol) {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn child_or_new(&mut self, parent: u32, symbol: u32) -> u32 {
        let slot = self.find(parent, symbol);
        if self.edges[slot].generation == self.generation {
            return self.edges[slot].child;
        }
        let child = self.nodes.len() as u32;
        self.nodes.push(Node::default());
        self.edges[slot] = Edge { parent, symbol, child, generation: self.generation };
        if self.nodes.len() * 2 > self.edges.len() {
            self.grow();
        }
        child
    }

    fn grow(&mut self) {
        let larger = vec![Edge::default(); self.edges.len() * 2];
        let smaller = std::mem::replace(&mut self.edges, larger);
        for edge in smaller.into_iter().filter(|edge| edge.generation == self.generation) {
            let slot = self.find(edge.parent, edge.symbol);
            self.edges[slot] = edge;
        }
    }
}

/// How many n-grams of order `n` a sequence of `length` symbols has.
pub(super) fn total(length: usize, n: usize) -> f64 {
    (length + 1).saturating_sub(n) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// The definition, with hash maps of vectors.
    fn by_definition(hypothesis: &[u32], references: &[Vec<u32>], order: usize) -> Vec<f64> {
        fn counts(symbols: &[u32], n: usize) -> HashMap<&[u32], usize> {
            let mut counts = HashMap::new();
            symbols.windows(n).for_each(|gram| *counts.entry(gram).or_default() += 1);
            counts
        }
        let matched = |n| {
            let references: Vec<_> = references.iter().map(|symbols| counts(symbols, n)).collect();
            let most = |gram: &[u32]| references.iter().filter_map(|counts| counts.get(gram)).max().copied();
            counts(hypothesis, n).into_iter().map(|(gram, count)| count.min(most(gram).unwrap_or(0)) as f64).sum()
        };
        (1..=order).map(matched).collect()
    }

    proptest! {
        #[test]
        fn matches_are_clipped_counts(
            hypothesis in prop::collection::vec(0u32..5, 0..40),
            references in prop::collection::vec(prop::collection::vec(0u32..5, 0..40), 1..4),
        ) {
            let mut trie = Trie::default();
            // A second sentence in the same trie must not see the first.
            trie.add(&[1, 2, 3, 4, 0, 1], 6);
            trie.clear();
            references.iter().for_each(|symbols| trie.add(symbols, 6));
            let mut matches = [0.0; 6];
            trie.matches(&hypothesis, &mut matches);
            prop_assert_eq!(&matches[..], by_definition(&hypothesis, &references, 6));
        }
    }

    #[test]
    fn the_table_grows_with_the_text() {
        let symbols: Vec<u32> = (0..20_000).collect();
        let mut trie = Trie::default();
        trie.add(&symbols, 4);
        let mut matches = [0.0; 4];
        trie.matches(&symbols, &mut matches);
        assert_eq!(matches, [20_000.0, 19_999.0, 19_998.0, 19_997.0]);
    }
}
