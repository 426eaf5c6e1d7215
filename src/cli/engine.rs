//! The options that choose a model and how it is run, for every subcommand that translates.

use clap::Args;

use super::exit::{Exit, Failure, OrExit};
use super::models::Console;
use super::terminal::Terminal;
use crate::catalog;
use crate::engine::{Engine, EngineOptions, Precision};

/// Which model, and how it decodes.
#[derive(Clone, Debug, Args)]
pub struct EngineArgs {
    /// A model: a name from `traghetto models list`, a folder, a .gguf file or hf:OWNER/REPO; `auto` takes the best
    /// one on this disk, else the best one that can be fetched.
    #[arg(short, long, default_value = "auto", env = "TRAGHETTO_MODEL", help_heading = "Model")]
    pub model: String,

    /// Hypotheses kept by the beam search; 1 is greedy [default: the model's own].
    #[arg(long, value_name = "N", env = "TRAGHETTO_BEAM_SIZE", help_heading = "Model", value_parser = positive)]
    pub beam_size: Option<usize>,

    /// Most tokens in one batch [default: the engine's own].
    #[arg(long, value_name = "N", env = "TRAGHETTO_BATCH_TOKENS", help_heading = "Model", value_parser = positive)]
    pub batch_tokens: Option<usize>,

    /// Threads for the arithmetic [default: the physical cores].
    #[arg(long, value_name = "N", env = "TRAGHETTO_THREADS", help_heading = "Model", value_parser = positive)]
    pub threads: Option<usize>,

    /// Arithmetic of the linear layers [default: the model's own].
    #[arg(long, env = "TRAGHETTO_PRECISION", help_heading = "Model")]
    pub precision: Option<Precision>,

    /// Most memory for the engine, weights included, in MiB.
    #[arg(long, value_name = "MIB", env = "TRAGHETTO_MAX_MEMORY", help_heading = "Model", value_parser = positive)]
    pub max_memory: Option<usize>,

    /// Agree to the licence of a model that asks for it (see `traghetto models info`).
    #[arg(long, help_heading = "Model")]
    pub accept_license: bool,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("not a whole number".into()),
    }
}

/// A loaded engine and what to call it.
pub struct Opened {
    /// The engine.
    pub engine: Box<dyn Engine>,
    /// The model's name in messages and reports.
    pub name: String,
}

impl EngineArgs {
    /// What the engine is asked for.
    pub fn options(&self) -> EngineOptions {
        EngineOptions {
            beam_size: self.beam_size,
            n_best: 0,
            batch_tokens: self.batch_tokens,
            threads: self.threads,
            precision: self.precision,
            max_memory: self.max_memory.map(|mib| mib as u64 * 1024 * 1024),
        }
    }

    /// Finds the model and loads it.
    ///
    /// # Errors
    /// Exit code 3 when there is no usable model.
    pub fn open(&self, terminal: &Terminal) -> Result<Opened, Failure> {
        let store = catalog::Store::open().or_exit(Exit::NoModel)?;
        let located = catalog::resolve(&self.model, &store, self.accept_license, &mut Console::new(terminal))
            .or_exit(Exit::NoModel)?;
        let engine = catalog::open_engine(&located, &self.options()).or_exit(Exit::NoModel)?;
        Ok(Opened { engine, name: located.name })
    }
}
