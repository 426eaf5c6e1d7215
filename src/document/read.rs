//! From bytes to text: UTF-8 as it is, older encodings recognised and said, binary files refused.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

/// Text that was read, and from what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The text. A UTF-8 byte order mark is kept, so that it is written back.
    pub text: String,
    /// The name of the encoding when it was not UTF-8; the output will be UTF-8, and the user is told.
    pub encoding: Option<&'static str>,
}

/// Why bytes are not text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// A file format that is recognised by its first bytes.
    #[error("this is {kind}, not text: {advice}")]
    Known {
        /// The format, with its article.
        kind: &'static str,
        /// What to do instead.
        advice: &'static str,
    },
    /// Bytes that no text has.
    #[error("binary data (byte 0x{byte:02x} at offset {offset}), not text")]
    Binary {
        /// The first byte that gave it away.
        byte: u8,
        /// Where it stands.
        offset: usize,
    },
    /// Not valid in the encoding it claims.
    #[error("the text claims to be {encoding} but is not valid: save it as UTF-8")]
    Invalid {
        /// The claimed encoding.
        encoding: &'static str,
    },
}

/// First bytes, name and advice of formats that people do pass to a translator.
const KNOWN: &[(&[u8], &str, &str)] = &[
    (b"%PDF-", "a PDF file", "extract its text first, for example with pdftotext"),
    (b"PK\x03\x04", "a ZIP archive (perhaps .docx, .odt or .epub)", "save it as plain text first"),
    (b"\xd0\xcf\x11\xe0", "an old Microsoft Office file", "save it as plain text first"),
    (b"{\\rtf", "a rich text file", "save it as plain text first"),
    (b"\x1f\x8b", "a gzip file", "unpack it first"),
    (b"\x89PNG", "a PNG picture", "there is no text to translate"),
    (b"\xff\xd8\xff", "a JPEG picture", "there is no text to translate"),
    (b"GGUF", "a GGUF model", "pass it with --model"),
    (b"\x7fELF", "a program", "there is no text to translate"),
];

/// Decodes `bytes`: UTF-8, UTF-16 (by its mark or by its zero bytes), else what chardetng recognises
/// (Windows-1252 for most older Italian files).
///
/// # Errors
/// [`DecodeError`] for bytes that are no text.
pub fn decode(bytes: &[u8]) -> Result<Decoded, DecodeError> {
    for (magic, kind, advice) in KNOWN {
        if bytes.starts_with(magic) {
            return Err(DecodeError::Known { kind, advice });
        }
    }
    if let Some(encoding) = utf16(bytes) {
        let (text, _, malformed) = encoding.decode(bytes);
        if malformed {
            return Err(DecodeError::Invalid { encoding: encoding.name() });
        }
        return Ok(Decoded { text: text.into_owned(), encoding: Some(encoding.name()) });
    }
    if let Some(offset) = bytes.iter().position(|&byte| is_binary(byte)) {
        return Err(DecodeError::Binary { byte: bytes[offset], offset });
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(Decoded { text: text.to_owned(), encoding: None });
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let encoding = detector.guess(Some(b"it"), chardetng::Utf8Detection::Deny);
    let (text, malformed) = encoding.decode_without_bom_handling(bytes);
    if malformed {
        return Err(DecodeError::Invalid { encoding: encoding.name() });
    }
    Ok(Decoded { text: text.into_owned(), encoding: Some(encoding.name()) })
}

/// Control bytes that occur in no text file: all but tab, line ends, form feed, end-of-file and escape.
fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0e..=0x19 | 0x1c..=0x1f)
}

/// UTF-16 by its byte order mark, or by zeros on one side of nearly every pair of the first 1,024 bytes.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    match bytes {
        [0xff, 0xfe, ..] => return Some(UTF_16LE),
        [0xfe, 0xff, ..] => return Some(UTF_16BE),
        _ => {}
    }
    let head = &bytes[..bytes.len().min(1024)];
    if !bytes.len().is_multiple_of(2) || head.len() < 8 {
        return None;
    }
    let zeros = |side: usize| head.iter().skip(side).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd, pairs) = (zeros(0), zeros(1), head.len() / 2);
    match () {
        () if even == 0 && odd * 10 >= pairs * 7 => Some(UTF_16LE),
        () if odd == 0 && even * 10 >= pairs * 7 => Some(UTF_16BE),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Perché la città è più bella d'estate? «Non so», rispose l’oste. Costa 5 €.";

    #[test]
    fn utf8_is_taken_as_it_is() {
        let marked = format!("\u{feff}{TEXT}");
        assert_eq!(decode(marked.as_bytes()), Ok(Decoded { text: marked.clone(), encoding: None }));
        assert_eq!(decode(b"").unwrap().text, "");
    }

    #[test]
    fn older_encodings_are_recognised() {
        let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(TEXT);
        assert_eq!(decode(&bytes), Ok(Decoded { text: TEXT.into(), encoding: Some("windows-1252") }));
        for (mark, encoding) in [(true, "UTF-16LE"), (false, "UTF-16LE"), (true, "UTF-16BE"), (false, "UTF-16BE")] {
            let big = encoding == "UTF-16BE";
            let units = mark.then_some(0xfeff).into_iter().chain(TEXT.encode_utf16());
            let bytes: Vec<u8> =
                units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect();
            assert_eq!(decode(&bytes), Ok(Decoded { text: TEXT.into(), encoding: Some(encoding) }));
        }
    }

    #[test]
    fn binary_files_are_refused_with_a_reason() {
        assert!(matches!(decode(b"%PDF-1.7 \x00"), Err(DecodeError::Known { kind: "a PDF file", .. })));
        assert_eq!(decode(b"testo\x00"), Err(DecodeError::Binary { byte: 0, offset: 5 }));
        assert_eq!(decode(b"\xff\xfea"), Err(DecodeError::Invalid { encoding: "UTF-16LE" }));
    }
}
