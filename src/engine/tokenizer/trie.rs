//! A prefix tree over the pieces of a vocabulary, flat in memory: the children of a node are neighbours, in the
//! order of their labels.

/// Marks a node at which no key ends.
const NO_VALUE: u32 = u32::MAX;

/// A set of byte strings with one number each.
#[derive(Debug)]
pub struct Trie {
    /// The byte that leads to each node; the root's is unused.
    labels: Vec<u8>,
    /// Children of node `i` are the nodes `children[i]..children[i + 1]`.
    children: Vec<u32>,
    /// The number of the key that ends at each node.
    values: Vec<u32>,
}

impl Trie {
    /// The tree of these keys. Of two equal keys the first wins; empty keys are left out.
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let mut keys: Vec<(&[u8], u32)> =
            keys.into_iter().map(|(key, value)| (key.as_bytes(), value)).filter(|(key, _)| !key.is_empty()).collect();
        keys.sort_by(|a, b| a.0.cmp(b.0));

        // Breadth first, so that siblings are neighbours. Each node stands for a run of sorted keys with a common
        // prefix as long as the node is deep.
        let mut trie = Self { labels: vec![0], children: Vec::new(), values: vec![NO_VALUE] };
        let mut level = vec![0..keys.len()];
        for depth in 0.. {
            let mut next = Vec::new();
            for run in level {
                trie.children.push(trie.labels.len() as u32);
                let mut start = run.start;
                while start < run.end {
                    let Some(&label) = keys[start].0.get(depth) else {
                        start += 1;
                        continue;
                    };
                    let length = keys[start..run.end].partition_point(|(key, _)| key[depth] == label);
                    let (first, value) = keys[start];
                    trie.labels.push(label);
                    trie.values.push(if first.len() == depth + 1 { value } else { NO_VALUE });
                    next.push(start..start + length);
                    start += length;
                }
            }
            if next.is_empty() {
                break;
            }
            level = next;
        }
        trie.children.push(trie.labels.len() as u32);
        trie
    }

    /// Every key that `text` starts with, shortest first: its length in bytes and its number.
    pub fn prefixes<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, u32)> + 'a {
        let mut node = 0;
        text.iter()
            .enumerate()
            .map_while(move |(at, &byte)| {
                node = self.child(node, byte)?;
                Some((at + 1, self.values[node]))
            })
            .filter(|&(_, value)| value != NO_VALUE)
    }

    /// The number of exactly this key.
    pub fn get(&self, key: &str) -> Option<u32> {
        let node = key.bytes().try_fold(0, |node, byte| self.child(node, byte))?;
        Some(self.values[node]).filter(|&value| value != NO_VALUE)
    }

    fn child(&self, node: usize, label: u8) -> Option<usize> {
        let (first, end) = (self.children[node] as usize, self.children[node + 1] as usize);
        self.labels[first..end].iter().position(|&each| each == label).map(|place| first + place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_come_shortest_first() {
        let trie = Trie::new([("ab", 1), ("a", 0), ("abcd", 2), ("b", 3), ("", 9), ("ab", 7)]);
        assert_eq!(trie.prefixes(b"abcx").collect::<Vec<_>>(), [(1, 0), (2, 1)]);
        assert_eq!(trie.prefixes(b"abcdb").collect::<Vec<_>>(), [(1, 0), (2, 1), (4, 2)]);
        assert_eq!(trie.prefixes(b"x").count(), 0);
        assert_eq!((trie.get("b"), trie.get("abc"), trie.get("")), (Some(3), None, None));
    }

    #[test]
    fn the_empty_tree_finds_nothing() {
        assert_eq!(Trie::new([]).prefixes(b"a").count(), 0);
    }
}
