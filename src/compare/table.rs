//! The report as text of at most 80 columns.

use std::fmt::Write;

use super::Report;

const NAME: usize = 22;

/// The table of systems and the `most` segments the systems disagree about most.
pub fn table(report: &Report, most: usize) -> String {
    let mut text = format!("{:NAME$}", "system");
    let metrics: Vec<&str> = report
        .systems
        .iter()
        .find(|system| !system.scores.is_empty())
        .map(|system| system.scores.iter().map(|score| score.metric.as_str()).collect())
        .unwrap_or_default();
    metrics.iter().for_each(|metric| _ = write!(text, "{metric:>9}"));
    let _ = writeln!(text, "{:>9}{:>6}{:>7}{:>8}", "agree", "hints", "sent/s", "MiB");
    for system in &report.systems {
        let _ = write!(text, "{:NAME$}", shortened(&system.name, NAME - 1));
        if let Some(failure) = &system.failure {
            let _ = writeln!(text, "failed: {}", shortened(failure, 80 - NAME - 8));
            continue;
        }
        for score in &system.scores {
            // Not told apart from the best at p < 0.05: a tie.
            let tie = if score.p_value.is_none_or(|p| p >= 0.05) { '*' } else { ' ' };
            let _ = write!(text, "{:>8.2}{tie}", score.score);
        }
        let number = |value: Option<f64>, digits| value.map_or("-".into(), |value| format!("{value:.digits$}"));
        let hints: usize = system.hints.values().sum();
        let speed = number(system.cost.map(|cost| cost.sentences_per_second), 1);
        let memory = system.cost.and_then(|cost| cost.peak_memory).map(|bytes| bytes as f64 / 1_048_576.0);
        let _ = writeln!(text, "{:>9}{hints:>6}{speed:>7}{:>8}", number(system.agreement, 1), number(memory, 0));
    }
    if !metrics.is_empty() {
        text.push_str("* the best, or not told apart from it (paired bootstrap, p >= 0.05)\n");
    }
    let mut order: Vec<usize> = (0..report.segments.len()).collect();
    order.sort_by(|&a, &b| report.segments[b].disagreement.total_cmp(&report.segments[a].disagreement));
    order.retain(|&at| report.segments[at].disagreement > 0.0);
    for &at in order.iter().take(most) {
        let segment = &report.segments[at];
        let _ = writeln!(text, "\n{} {} ({:.0} % apart)", report.unit, at + 1, segment.disagreement);
        wrapped(&mut text, "source", &segment.segment.source);
        segment.references.iter().for_each(|reference| wrapped(&mut text, "reference", reference));
        for (system, output) in report.systems.iter().zip(&segment.outputs) {
            if let Some(output) = output {
                wrapped(&mut text, &shortened(&system.name, 12), &output.text);
            }
        }
    }
    text
}

fn shortened(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    }
    // The end of a path says more than its beginning.
    std::iter::once('…').chain(name.chars().skip(length + 1 - width)).collect()
}

/// `text` after its label, wrapped to 80 columns. Control characters become spaces: they could move the cursor.
fn wrapped(output: &mut String, label: &str, text: &str) {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut line = format!("  {label:13}");
    let mut empty = true;
    for word in clean.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > 80 {
            let _ = writeln!(output, "{}", line.trim_end());
            line = " ".repeat(15);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(output, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn the_table_fits_eighty_columns_and_marks_the_failed() {
        let text = table(&sample(), 2);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("failed: it failed") && text.contains("sentence 1"), "{text}");
        let name = "x".repeat(60);
        assert_eq!(shortened(&name, 20).chars().count(), 20);
    }
}
