//! `traghetto models`: what there is, and what lies on this disk.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::exit::{Exit, Failure, OrExit};
use super::output;
use super::terminal::Terminal;
use crate::catalog::reporter::bytes;
use crate::catalog::{self, Card, CatalogError, Reporter, Store};

/// Arguments of `models`.
#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All models of the catalog, and which of them are on this disk.
    List,
    /// Everything about one model.
    Info {
        /// The model.
        id: String,
    },
    /// Fetch a model.
    Pull {
        /// The model.
        id: String,
        /// Agree to the model's licence.
        #[arg(long)]
        accept_license: bool,
    },
    /// Read every byte of a model, or of all on this disk, and compare it with its card.
    Verify {
        /// The model.
        id: Option<String>,
    },
    /// Remove a model from this disk.
    Remove {
        /// The model.
        id: String,
    },
    /// Print where a model lies.
    Path {
        /// The model.
        id: String,
    },
}

/// Runs the action.
pub fn run(args: ModelsArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let store = Store::open().or_exit(Exit::NoModel)?;
    let card = |id: &str| catalog::card(id).or_exit(Exit::NoModel);
    let text = match args.action {
        Action::List => list(&store),
        Action::Info { id } => info(card(&id)?, &store),
        Action::Pull { id, accept_license } => {
            let card = card(&id)?;
            let whole = store.has(card) && store.verify(card, true).is_ok();
            if store.has(card) && !whole {
                terminal.warning(&format!("{id} is corrupted: fetching it again"));
                remove(&store, card)?;
            }
            catalog::fetch(card, &store, accept_license, &mut Console::new(terminal)).or_exit(Exit::NoModel)?;
            format!("{}\n", store.path(card).display())
        }
        Action::Verify { id } => {
            let cards: Vec<&Card> = match &id {
                Some(id) => vec![card(id)?],
                None => catalog::cards().iter().filter(|card| store.has(card)).collect(),
            };
            let mut lines = String::new();
            for card in cards {
                store.verify(card, true).or_exit(Exit::NoModel)?;
                lines.push_str(&format!("{}: whole\n", card.id));
            }
            lines
        }
        Action::Remove { id } => {
            remove(&store, card(&id)?)?;
            String::new()
        }
        Action::Path { id } => {
            let card = card(&id)?;
            if !store.has(card) {
                return Err(Failure::new(Exit::NoModel, CatalogError::Absent { id }));
            }
            format!("{}\n", store.path(card).display())
        }
    };
    output::write_stdout(text.as_bytes()).or_exit(Exit::Output)?;
    Ok(Exit::Done.into())
}

fn remove(store: &Store, card: &Card) -> Result<(), Failure> {
    let folder = store.folder(&card.id);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(Exit::Output, anyhow::anyhow!("cannot remove {}: {error}", folder.display())))
        }
        _ => Ok(()),
    }
}

fn list(store: &Store) -> String {
    let mut lines = format!("{:<22}{:>9}  {:<9}{:<20}{}\n", "MODEL", "SIZE", "HERE", "LICENCE", "WHAT IT IS");
    for card in catalog::cards() {
        let size = card.size().map_or_else(|| "?".into(), bytes);
        let here = if store.has(card) { "yes" } else { "no" };
        lines += &format!("{:<22}{size:>9}  {here:<9}{:<20}{}\n", card.id, card.licence.name, card.summary);
    }
    lines
}

fn info(card: &Card, store: &Store) -> String {
    let mut lines = format!("{}: {}\n{}\n", card.id, card.name, card.summary);
    lines += &format!("languages: {} → {}\n", card.languages.source.join(", "), card.languages.target.join(", "));
    lines += &format!("licence: {} ({})\n", card.licence.name, card.licence.url);
    for file in &card.files {
        lines += &format!("file: {} ({})\n", file.name, file.size.map_or_else(|| "size unknown".into(), bytes));
        lines += &format!("sha256: {}\n", file.sha256.as_deref().unwrap_or("recorded at the first download"));
    }
    for row in &card.quality {
        lines += &format!("{} on {}: {} ({})\n", row.metric, row.dataset, row.value, row.source);
    }
    let place = store.path(card);
    lines += &match store.has(card) {
        true => format!("on this disk: {}\n", place.display()),
        false => format!("not on this disk: fetch it with `traghetto models pull {}`\n", card.id),
    };
    lines
}

/// Tells the catalog's news on stderr.
pub struct Console<'a> {
    terminal: &'a Terminal,
    bar: ProgressBar,
}

impl<'a> Console<'a> {
    /// Messages and progress for this terminal.
    pub fn new(terminal: &'a Terminal) -> Self {
        Self { terminal, bar: ProgressBar::hidden() }
    }
}

impl Reporter for Console<'_> {
    fn note(&mut self, message: &str) {
        self.bar.suspend(|| self.terminal.note(message));
    }

    fn warning(&mut self, message: &str) {
        self.bar.suspend(|| self.terminal.warning(message));
    }

    fn start(&mut self, label: &str, done: u64, total: Option<u64>) {
        let size = total.map_or_else(|| "size unknown".into(), bytes);
        if !self.terminal.progress {
            return self.terminal.note(&format!("fetching {label} ({size})"));
        }
        self.bar = ProgressBar::new(total.unwrap_or(0));
        let template = "{msg} {bar:25} {bytes}/{total_bytes} · {bytes_per_sec} · {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("━╸─"));
        }
        self.bar.set_message(label.to_owned());
        self.bar.set_position(done);
        self.bar.enable_steady_tick(std::time::Duration::from_millis(250));
    }

    fn advance(&mut self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn finish(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }

    fn agree(&mut self, terms: &str) -> Option<bool> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        let mut stderr = std::io::stderr();
        let _ = write!(stderr, "{}\n\nDo you agree? [y/N] ", terms.trim());
        let _ = stderr.flush();
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}
