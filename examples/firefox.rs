//! Translates the lines of stdin with a Firefox Translations model and says on stderr how long it took:
//! `cargo run --release --example firefox -- MODEL_DIR [THREADS] [f32] < source > translation`.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use traghetto::engine::firefox::Firefox;
use traghetto::engine::{EngineOptions, Precision, translate_all};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("which model directory?")?;
    let threads = arguments.next().map(|count| count.parse()).transpose()?;
    let precision = arguments.next().filter(|name| name == "f32").map(|_| Precision::F32);
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let lines: Vec<&str> = text.lines().collect();

    let start = Instant::now();
    let mut engine = Firefox::load(Path::new(&folder), &EngineOptions { threads, precision, ..Default::default() })?;
    let loaded = start.elapsed();
    if let Some(first) = lines.first() {
        translate_all(&mut engine, &[first])?;
    }
    let first = start.elapsed();
    let start = Instant::now();
    let translations = translate_all(&mut engine, &lines)?;
    let seconds = start.elapsed().as_secs_f64();
    for translation in &translations {
        writeln!(std::io::stdout(), "{}", translation.text)?;
    }
    let rate = lines.len() as f64 / seconds;
    eprintln!("loaded {loaded:.1?} first {first:.1?} then {seconds:.3} s, {rate:.1} sentences/s");
    Ok(())
}
