//! Every test that runs the binary or reads fixtures, in one test binary: linking candle once is enough.

mod cli;
mod compare;
mod evaluate;
mod firefox;
mod support;
mod tokenizer;
