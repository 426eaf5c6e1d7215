//! Wraps the translation of a hard-wrapped block to the width its source had.

use super::Wrap;

/// Appends `flat` to `output` with line ends put back: greedy filling at single spaces to `wrap.width` characters,
/// each new line opened by the line end and indent that the block used first.
pub(super) fn push(output: &mut String, flat: &str, text: &str, wrap: &Wrap) {
    let Some(first) = wrap.breaks.first() else { return output.push_str(flat) };
    let line_end = text[first.clone()].trim_start_matches([' ', '\t', '\u{a0}']);
    let indent = line_end.trim_start_matches(['\r', '\n']).chars().count();
    let line = output.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let mut column = output[line..].chars().count();
    for (index, word) in flat.split(' ').enumerate() {
        let width = word.chars().count();
        if index > 0 {
            if column > indent && !word.is_empty() && column + 1 + width > wrap.width {
                while output.ends_with(' ') {
                    output.pop();
                }
                output.push_str(line_end);
                column = indent;
            } else {
                output.push(' ');
                column += 1;
            }
        }
        output.push_str(word);
        column += width;
    }
}
