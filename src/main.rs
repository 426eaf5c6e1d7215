//! The `traghetto` command.

fn main() {}
