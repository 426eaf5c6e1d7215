//! traghetto ferries Italian articles into English on the reader's own machine.
//!
//! The library is one straight line, and each room below is one step of it:
//!
//! ```text
//! bytes ─read→ Document ─segment→ gaps + sentences ─translate→ translations ─render→ bytes
//! ```
//!
//! * [`document`] turns bytes into a skeleton of literal text with one slot a sentence, and back.
//! * [`segment`] finds the sentences of a paragraph.
//! * [`catalog`] knows the models: where their files come from, where they lie, whether they are whole.
//! * [`engine`] translates sentences; it knows nothing of files, formats or the command line.
//! * [`memory`] remembers finished sentences.
//! * [`pipeline`] puts the steps together once, for every subcommand.
//! * [`batch`], [`compare`] and [`metrics`] are the folder runs and the comparison of systems.
//! * [`cli`] is the command line.
//!
//! Rendering a document with its own sentences gives back the input byte for byte; that one invariant is what
//! "keeps the paragraphs" means here.
#![warn(missing_docs)]

pub mod catalog;
pub mod cli;
pub mod compare;
pub mod document;
pub mod engine;
pub mod metrics;
pub mod pipeline;
pub mod segment;
