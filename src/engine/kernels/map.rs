//! Maps a file into memory, so that weights are read where they lie and shared between processes.

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// Maps `path` for reading.
///
/// # Errors
/// Those of opening and mapping the file; an empty file cannot be mapped.
pub fn map_file(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the map is only read. A file that another process truncates meanwhile ends this one with SIGBUS, as
    // it does for every program that maps its data; the store never writes into a finished model file.
    unsafe { Mmap::map(&file) }
}
