//! Settings files: `traghetto.toml` in the current folder, then in the user's config folder, give defaults to the
//! options of the same name. The environment (`TRAGHETTO_…`) wins over them, the command line over both.
//!
//! ```toml
//! model = "opus-mt-it-en"
//! threads = 2
//!
//! [batch]
//! exclude = ["drafts/**"]
//! ```
//!
//! A key at the top holds for every subcommand that has the option; a table holds for one subcommand.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Command;

use super::exit::{Exit, Failure, OrExit};

/// The name of the file in either folder.
pub const FILE_NAME: &str = "traghetto.toml";

/// Gives the options of `command` the defaults that the settings files name.
///
/// # Errors
/// Exit code 2 for a file that cannot be read, is not TOML, or names an option that does not exist.
pub fn apply(mut command: Command) -> Result<Command, Failure> {
    // The nearer file is applied last and wins.
    let user = dirs::config_dir().map(|folder| folder.join("traghetto").join(FILE_NAME));
    for file in user.into_iter().chain([PathBuf::from(FILE_NAME)]) {
        match std::fs::read_to_string(&file) {
            Ok(text) => command = apply_file(command, &file, &text).or_exit(Exit::Usage)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("cannot read {}", file.display()));
                return Err(Failure::new(Exit::Usage, error));
            }
        }
    }
    Ok(command)
}

fn apply_file(mut command: Command, file: &Path, text: &str) -> anyhow::Result<Command> {
    let table: toml::Table = text.parse().with_context(|| format!("{} is not valid TOML", file.display()))?;
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) if names.contains(&key) => {
                for (option, value) in inner {
                    let values = strings(&value).with_context(|| place(file, &option))?;
                    if !has(command.find_subcommand(&key), &option) {
                        bail!("{}: `{key}` has no option `{option}`: see `traghetto {key} --help`", file.display());
                    }
                    command = command.mut_subcommand(&key, |sub| set(sub, &option, &values));
                }
            }
            value => {
                let values = strings(&value).with_context(|| place(file, &key))?;
                let mut found = has(Some(&command), &key);
                if found {
                    command = set(command, &key, &values);
                }
                for name in &names {
                    if has(command.find_subcommand(name), &key) {
                        found = true;
                        command = command.mut_subcommand(name, |sub| set(sub, &key, &values));
                    }
                }
                if !found {
                    bail!("{}: no option is called `{key}`: see `traghetto translate --help`", file.display());
                }
            }
        }
    }
    Ok(command)
}

fn place(file: &Path, key: &str) -> String {
    format!("{}: `{key}`", file.display())
}

fn has(command: Option<&Command>, option: &str) -> bool {
    command.is_some_and(|command| command.get_arguments().any(|arg| arg.get_long() == Some(&long(option))))
}

/// `batch_tokens` and `batch-tokens` are both `--batch-tokens`.
fn long(option: &str) -> String {
    option.replace('_', "-")
}

fn set(command: Command, option: &str, values: &[String]) -> Command {
    let id = command.get_arguments().find(|arg| arg.get_long() == Some(&long(option))).map(|arg| arg.get_id().clone());
    let Some(id) = id else { return command };
    let values: Vec<clap::builder::OsStr> = values.iter().map(|value| value.clone().into()).collect();
    command.mut_arg(id, |arg| arg.default_values(values))
}

fn strings(value: &toml::Value) -> anyhow::Result<Vec<String>> {
    Ok(match value {
        toml::Value::String(text) => vec![text.clone()],
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => vec![value.to_string()],
        toml::Value::Array(values) => values.iter().map(strings).collect::<anyhow::Result<Vec<_>>>()?.concat(),
        _ => bail!("expected a text, a number, true or false, or a list of them"),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(text: &str, args: &[&str]) -> Result<clap::ArgMatches, String> {
        let command = apply_file(super::super::Cli::command(), Path::new(FILE_NAME), text)
            .map_err(|error| format!("{error:#}"))?;
        command.try_get_matches_from(args).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = "threads = 3\n[translate]\nmodel = \"upper\"";
        let matches = parse(file, &["traghetto", "translate", "--model", "lower"]).unwrap();
        let translate = matches.subcommand_matches("translate").unwrap();
        assert_eq!(translate.get_one::<usize>("threads"), Some(&3));
        assert_eq!(translate.get_one::<String>("model").unwrap(), "lower");
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = parse("modle = 1", &["traghetto", "segment"]).unwrap_err();
        assert!(error.contains("traghetto.toml") && error.contains("modle"), "{error}");
        let error = parse("[segment]\nbeam_size = 2", &["traghetto", "segment"]).unwrap_err();
        assert!(error.contains("`segment` has no option `beam_size`"), "{error}");
    }
}
