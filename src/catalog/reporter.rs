//! What the catalog tells its caller while it works. The catalog itself prints nothing.

/// Receives messages and progress.
pub trait Reporter {
    /// Something worth knowing: which model, which source, why the next one.
    fn note(&mut self, message: &str);
    /// Something that is not as it should be but did not stop the work.
    fn warning(&mut self, message: &str);
    /// Work of `total` bytes begins, `done` of which need not be done again.
    fn start(&mut self, label: &str, done: u64, total: Option<u64>);
    /// So many more bytes are done.
    fn advance(&mut self, bytes: u64);
    /// The work has ended, well or not.
    fn finish(&mut self);
    /// Shows `terms` and asks whether the user agrees; `None` where nobody can be asked.
    fn agree(&mut self, terms: &str) -> Option<bool>;
    /// True once the user asked to stop.
    fn stopped(&self) -> bool {
        false
    }
}

/// Tells nobody and agrees to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn note(&mut self, _message: &str) {}
    fn warning(&mut self, _message: &str) {}
    fn start(&mut self, _label: &str, _done: u64, _total: Option<u64>) {}
    fn advance(&mut self, _bytes: u64) {}
    fn finish(&mut self) {}
    fn agree(&mut self, _terms: &str) -> Option<bool> {
        None
    }
}

/// A number of bytes for people, in decimal units as disks and networks count.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count} bytes");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be printed as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_for_people() {
        for (count, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (999_999, "1.0 MB"),
            (1_117_320_768, "1.1 GB"),
            (5_000_000_000_000_000, "5000.0 TB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
