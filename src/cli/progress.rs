//! The progress bar of a translation: sentences, tokens a second, time left.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::Terminal;

/// A bar over sentences; draws nothing when stderr is no terminal.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    tokens: usize,
}

impl Progress {
    /// A bar for `sentences` sentences.
    pub fn new(terminal: &Terminal, sentences: usize) -> Self {
        let target = if terminal.progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(sentences as u64), target);
        let template = "{bar:30} {pos}/{len} sentences · {msg} · {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message("reading the first ones");
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, started: Instant::now(), tokens: 0 }
    }

    /// One more sentence of `tokens` tokens is done.
    pub fn sentence(&mut self, tokens: usize) {
        self.tokens += tokens;
        self.bar.inc(1);
        self.bar.set_message(format!("{:.1} tokens/s", self.rate()));
    }

    /// Runs `print` with the bar out of the way.
    pub fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Takes the bar away and gives tokens and time.
    pub fn finish(self) -> (usize, Duration) {
        self.bar.finish_and_clear();
        (self.tokens, self.started.elapsed())
    }

    fn rate(&self) -> f64 {
        self.tokens as f64 / self.started.elapsed().as_secs_f64().max(1e-3)
    }
}
