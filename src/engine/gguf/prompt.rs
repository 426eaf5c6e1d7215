//! Prompts: how a general language model is asked to translate.

use serde::Deserialize;

/// What a model is told before the sentence.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// How turns are written.
    pub template: Template,
    /// The task, in a sentence or two.
    #[serde(default)]
    pub system: String,
    /// Translations that show what is wanted.
    #[serde(default)]
    pub examples: Vec<Example>,
}

/// A sentence and its translation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Italian.
    pub source: String,
    /// English.
    pub target: String,
}

/// How turns are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Template {
    /// `<|im_start|>role … <|im_end|>` (Qwen).
    Chatml,
    /// `<start_of_turn>role … <end_of_turn>` (Gemma, instruction-tuned).
    Gemma,
    /// `<|start_header_id|>role<|end_header_id|> … <|eot_id|>` (Llama 3).
    Llama3,
    /// `Italian: …` and `English: …` on lines of their own, for base models.
    Plain,
}

/// What is said when a card says nothing.
const SYSTEM: &str = "Translate the Italian text into English. Reply only with the translation.";

impl Prompt {
    /// The prompt for a model without a card, by the architecture its file names and the tokens it knows.
    pub fn default_for(architecture: &str, knows: impl Fn(&str) -> bool) -> Self {
        let template = match architecture {
            _ if knows("<|im_start|>") => Template::Chatml,
            _ if knows("<|start_header_id|>") => Template::Llama3,
            "gemma3" => Template::Gemma,
            _ => Template::Plain,
        };
        Self { template, system: SYSTEM.into(), examples: Vec::new() }
    }

    /// Everything before the sentence: the same for all sentences, read by the model once.
    pub fn before(&self) -> String {
        let mut text = match self.template {
            Template::Chatml => format!("<|im_start|>system\n{}<|im_end|>\n", self.system),
            Template::Gemma => String::new(),
            Template::Llama3 => {
                format!("<|start_header_id|>system<|end_header_id|>\n\n{}<|eot_id|>", self.system)
            }
            Template::Plain if self.system.is_empty() => String::new(),
            Template::Plain => format!("{}\n\n", self.system),
        };
        for Example { source, target } in &self.examples {
            text += &self.open();
            text += source;
            text += self.turn();
            text += target;
            text += self.close();
        }
        text + &self.open()
    }

    /// Everything between the sentence and its translation.
    pub fn after(&self) -> &'static str {
        self.turn()
    }

    fn open(&self) -> String {
        match self.template {
            Template::Chatml => "<|im_start|>user\n".into(),
            // Gemma has no system turn: the task is said in every one.
            Template::Gemma => format!("<start_of_turn>user\n{}\n\n", self.system),
            Template::Llama3 => "<|start_header_id|>user<|end_header_id|>\n\n".into(),
            Template::Plain => "Italian: ".into(),
        }
    }

    fn turn(&self) -> &'static str {
        match self.template {
            Template::Chatml => "<|im_end|>\n<|im_start|>assistant\n",
            Template::Gemma => "<end_of_turn>\n<start_of_turn>model\n",
            Template::Llama3 => "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
            Template::Plain => "\nEnglish:",
        }
    }

    fn close(&self) -> &'static str {
        match self.template {
            Template::Chatml => "<|im_end|>\n",
            Template::Gemma => "<end_of_turn>\n",
            Template::Llama3 => "<|eot_id|>",
            Template::Plain => "\n",
        }
    }

    /// A text that is the same exactly when the prompt is.
    pub fn fingerprint(&self) -> String {
        format!("{}\u{0}{}", self.before(), self.after())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chatml_shows_examples_as_turns() {
        let prompt = Prompt {
            template: Template::Chatml,
            system: "Translate.".into(),
            examples: vec![Example { source: "Ciao".into(), target: "Hello".into() }],
        };
        assert_eq!(
            prompt.before() + "Sì" + prompt.after(),
            "<|im_start|>system\nTranslate.<|im_end|>\n<|im_start|>user\nCiao<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nSì<|im_end|>\n<|im_start|>assistant\n"
        );
    }

    #[test]
    fn the_template_follows_the_vocabulary() {
        assert_eq!(Prompt::default_for("qwen2", |token| token == "<|im_start|>").template, Template::Chatml);
        assert_eq!(Prompt::default_for("llama", |_| false).template, Template::Plain);
    }
}
