//! The protobuf wire format, as much of it as a SentencePiece model needs: fields are walked in place, nothing is
//! allocated, and every length is checked against the bytes that are there.
//!
//! <https://protobuf.dev/programming-guides/encoding/>

use super::TokenizerError;

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// `int32`, `bool`, `enum` and their kin.
    Varint(u64),
    /// `fixed64`, `double`.
    Fixed64([u8; 8]),
    /// `string`, `bytes` and embedded messages.
    Bytes(&'a [u8]),
    /// `fixed32`, `float`.
    Fixed32([u8; 4]),
}

impl<'a> Value<'a> {
    /// The bytes of a length-delimited field.
    pub fn bytes(self) -> Result<&'a [u8], TokenizerError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(TokenizerError::new(format!("expected bytes in a protobuf field, found {other:?}"))),
        }
    }

    /// The text of a string field.
    pub fn text(self) -> Result<&'a str, TokenizerError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| TokenizerError::new("a text field is not UTF-8"))
    }

    /// The number of an integer field.
    pub fn varint(self) -> Result<u64, TokenizerError> {
        match self {
            Self::Varint(number) => Ok(number),
            other => Err(TokenizerError::new(format!("expected a number in a protobuf field, found {other:?}"))),
        }
    }

    /// The number of a `float` field.
    pub fn float(self) -> Result<f32, TokenizerError> {
        match self {
            Self::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            other => Err(TokenizerError::new(format!("expected a float in a protobuf field, found {other:?}"))),
        }
    }
}

/// Walks the fields of one message: `(field number, value)`. After an error it ends.
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of the message in `bytes`.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array::<1>()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.array()?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(self.array()?),
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), TokenizerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or_else(|| TokenizerError::new("the file is cut off or damaged (protobuf)")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_wire_type_are_walked() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f];
        let fields: Vec<_> = Fields::of(&message).collect::<Result<_, _>>().unwrap();
        assert_eq!(fields[0], (1, Value::Varint(150)));
        assert_eq!(fields[1].1.text().unwrap(), "hi");
        assert_eq!(fields[2].1.float().unwrap(), 1.0);
    }

    #[test]
    fn lengths_that_lie_end_in_one_error() {
        for message in [&[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f, b'h'][..], &[0xff; 12], &[0x0b], &[0x1d, 0, 0]] {
            let fields: Vec<_> = Fields::of(message).collect();
            assert_eq!(fields.len(), 1);
            assert!(fields[0].is_err());
        }
    }
}
