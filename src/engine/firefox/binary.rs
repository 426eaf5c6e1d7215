//! Reading Marian's binary model files, version 1: a count, as many headers, the names, the shapes, padding up to a
//! 256-byte boundary, the data. Every size is checked against the bytes that are there before it is believed.

use std::collections::BTreeMap;

use super::FormatError;

/// Element types that Firefox models use, by Marian's type codes: `class | size | layout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signed bytes: text and masks (`0x101`).
    Byte,
    /// 32-bit floats (`0x404`).
    Float,
    /// intgemm's 8-bit integers in no machine's order, transposed, with their multiplier after them (`0x4101`).
    Intgemm8,
    /// Anything else.
    Other(u64),
}

/// One tensor of the file.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// Element type.
    pub kind: Kind,
    /// Shape; for [`Kind::Intgemm8`] that of the matrix before it was transposed.
    pub shape: Vec<usize>,
    /// The bytes, padding included.
    data: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The floats of a [`Kind::Float`] tensor.
    pub fn floats(&self) -> Option<Vec<f32>> {
        (self.kind == Kind::Float).then(|| {
            self.data[..4 * self.elements()].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        })
    }

    /// The integers of a [`Kind::Intgemm8`] tensor and the multiplier that made them out of floats.
    pub fn integers(&self) -> Option<(&'a [u8], f32)> {
        if self.kind != Kind::Intgemm8 {
            return None;
        }
        let (integers, rest) = self.data.split_at(self.elements());
        let multiplier = f32::from_le_bytes(*rest.first_chunk()?);
        Some((integers, multiplier))
    }

    /// The text of a [`Kind::Byte`] tensor.
    pub fn text(&self) -> Option<&'a str> {
        let bytes = (self.kind == Kind::Byte).then(|| &self.data[..self.elements()])?;
        std::str::from_utf8(bytes).ok().map(|text| text.trim_end_matches('\0'))
    }
}

/// A walk through bytes that never leaves them.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `count` bytes, part of `what`.
    pub(super) fn take(&mut self, count: u64, what: &'static str) -> Result<&'a [u8], FormatError> {
        let count = usize::try_from(count).map_err(|_| FormatError::Truncated(what))?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(FormatError::Truncated(what))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `count` records of `N` bytes.
    pub(super) fn records<const N: usize>(
        &mut self,
        count: u64,
        what: &'static str,
    ) -> Result<&'a [[u8; N]], FormatError> {
        let bytes = count.checked_mul(N as u64).ok_or(FormatError::Truncated(what))?;
        Ok(self.take(bytes, what)?.as_chunks().0)
    }

    /// The next little-endian 64-bit number.
    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.records(1, what)?[0]))
    }

    /// Whether everything was read.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// The tensors of a model file by name.
///
/// # Errors
/// [`FormatError`] for a file that is cut, lies about a size, or is none of Marian's.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<&str, Tensor<'_>>, FormatError> {
    let mut reader = Reader::new(bytes);
    let version = reader.u64("the version")?;
    if version != 1 {
        return Err(FormatError::Damaged(format!(
            "not a Marian binary model of version 1 (its first number is {version})"
        )));
    }
    let count = reader.u64("the number of tensors")?;
    let headers: Vec<[u64; 4]> = reader
        .records::<32>(count, "the tensor headers")?
        .iter()
        .map(|record| std::array::from_fn(|index| number(&record[8 * index..])))
        .collect();
    let mut names = Vec::with_capacity(headers.len());
    for [length, ..] in &headers {
        let name = reader.take(*length, "the tensor names")?;
        let name = name.strip_suffix(b"\0").unwrap_or(name);
        names.push(std::str::from_utf8(name).map_err(|_| FormatError::Damaged("a tensor name is not text".into()))?);
    }
    let mut shapes = Vec::with_capacity(headers.len());
    for ([_, _, dimensions, _], name) in headers.iter().zip(&names) {
        let shape = reader.records::<4>(*dimensions, "the tensor shapes")?;
        let shape: Result<Vec<usize>, _> =
            shape.iter().map(|size| usize::try_from(i32::from_le_bytes(*size))).collect();
        shapes.push(shape.map_err(|_| FormatError::Damaged(format!("tensor {name} has a negative size")))?);
    }
    let padding = reader.u64("the padding")?;
    reader.take(padding, "the padding")?;

    let mut tensors = BTreeMap::new();
    for (([_, code, _, length], name), shape) in headers.into_iter().zip(names).zip(shapes) {
        let data = reader.take(length, "the tensor data")?;
        let (kind, size, extra) = match code {
            0x101 => (Kind::Byte, 1, 0),
            0x404 => (Kind::Float, 4, 0),
            0x4101 => (Kind::Intgemm8, 1, 4),
            code => (Kind::Other(code), 0, 0),
        };
        let needed = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let needed = needed.and_then(|elements| elements.checked_mul(size)?.checked_add(extra));
        if needed.is_none_or(|needed| needed > data.len()) {
            let cause = format!("tensor {name} claims the shape {shape:?} but has {length} bytes");
            return Err(FormatError::Damaged(cause));
        }
        if tensors.insert(name, Tensor { kind, shape, data }).is_some() {
            return Err(FormatError::Damaged(format!("tensor {name} is there twice")));
        }
    }
    if !reader.is_empty() {
        return Err(FormatError::Damaged("more data than its tensors claim".into()));
    }
    Ok(tensors)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of a matrix, a row of floats and a text.
    fn file() -> Vec<u8> {
        let mut matrix: Vec<u8> = vec![1, 2, 3, 4, 5, 255];
        matrix.extend(2.5f32.to_le_bytes());
        matrix.resize(256, 0);
        let row: Vec<u8> = [0.5f32, -1.0].iter().flat_map(|float| float.to_le_bytes()).collect();
        let tensors: [(&str, u64, &[i32], Vec<u8>); 3] = [
            ("W", 0x4101, &[2, 3], matrix),
            ("b", 0x404, &[1, 2], row),
            ("special:model.yml", 0x101, &[5], b"a: b\0".to_vec()),
        ];
        let mut file: Vec<u8> = [1, tensors.len() as u64].iter().flat_map(|word| word.to_le_bytes()).collect();
        for (name, code, shape, data) in &tensors {
            let header = [name.len() as u64 + 1, *code, shape.len() as u64, data.len() as u64];
            file.extend(header.iter().flat_map(|word| word.to_le_bytes()));
        }
        for (name, ..) in &tensors {
            file.extend(name.bytes().chain([0]));
        }
        for (_, _, shape, _) in &tensors {
            file.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
        }
        file.extend(3u64.to_le_bytes());
        file.extend([0; 3]);
        for (.., data) in &tensors {
            file.extend(data);
        }
        file
    }

    #[test]
    fn tensors_are_read_as_they_were_written() {
        let file = file();
        let tensors = read(&file).unwrap();
        assert_eq!(tensors["W"].integers(), Some(([1, 2, 3, 4, 5, 255].as_slice(), 2.5)));
        assert_eq!((tensors["b"].floats(), tensors["b"].shape.as_slice()), (Some(vec![0.5, -1.0]), [1, 2].as_slice()));
        assert_eq!(tensors["special:model.yml"].text(), Some("a: b"));
        assert_eq!((tensors["W"].floats(), tensors["b"].integers(), tensors["b"].text()), (None, None, None));
    }

    #[test]
    fn every_cut_is_an_error() {
        let file = file();
        for length in 0..file.len() {
            assert!(read(&file[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_number_that_lies_is_an_error_and_asks_for_no_memory() {
        let whole = file();
        // Version, count, each header's four numbers: huge values and small lies.
        for word in 0..14 {
            for lie in [u64::MAX, u64::MAX / 32, 1 << 40, 7777] {
                let mut file = whole.clone();
                file[word * 8..word * 8 + 8].copy_from_slice(&lie.to_le_bytes());
                // An unknown type code is allowed for a tensor that nobody asks for.
                if (word + 1) % 4 != 0 || word < 2 {
                    assert!(read(&file).is_err(), "word {word} says {lie}");
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn flipped_bits_never_panic(flips in proptest::collection::vec(0usize..8 * 400, 1..20)) {
            let mut file = file();
            for bit in flips {
                let length = file.len();
                file[bit / 8 % length] ^= 1 << (bit % 8);
            }
            if let Ok(tensors) = read(&file) {
                for tensor in tensors.values() {
                    let _ = (tensor.floats(), tensor.integers(), tensor.text());
                }
                let _ = super::super::network::Network::load(&tensors, crate::engine::Precision::Int8);
            }
        }
    }
}
