//! What Ollama tells of its models, held against those that are asked for. It says nothing of whether a model is any good.

use serde::Deserialize;

/// What Ollama takes a model's name without a tag for.
const DEFAULT_TAG: &str = "latest";

/// The answer to `GET /api/tags`, as far as it matters here.
#[derive(Deserialize)]
struct Tags {
    /// Go writes a list that was never begun as `null`.
    models: Option<Vec<Model>>,
}

#[derive(Deserialize)]
struct Model {
    /// With its tag.
    name: String,
}

/// The answer is not the list of models that it should be.
#[derive(Debug, thiserror::Error)]
#[error("it does not answer with a list of models")]
pub struct ModelsUntold(#[from] serde_json::Error);

/// Which of the wanted models are not there, by what Ollama answered to `GET /api/tags`.
///
/// # Errors
/// [`ModelsUntold`], where that is something else.
pub fn lacking(wanted: &[String], answer: &[u8]) -> Result<Vec<String>, ModelsUntold> {
    let there = serde_json::from_slice::<Tags>(answer)?.models.unwrap_or_default();
    let is_there =
        |wanted: &String| there.iter().any(|model| tagged(&model.name).eq_ignore_ascii_case(&tagged(wanted)));
    Ok(wanted.iter().filter(|wanted| !is_there(wanted)).cloned().collect())
}

/// A model's name with its tag. A colon before the last slash is a registry's port.
fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') { name.to_owned() } else { format!("{name}:{DEFAULT_TAG}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking_of(wanted: &[&str], answer: &str) -> Vec<String> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        lacking(&wanted, answer.as_bytes()).unwrap()
    }

    #[test]
    fn a_model_is_there_under_its_tag() {
        let answer = r#"{"models": [{"name": "llama3.2:3b", "size": 1}, {"name": "nomic-embed-text:latest"}]}"#;
        assert!(lacking_of(&["llama3.2:3b", "nomic-embed-text", "Nomic-Embed-Text:latest"], answer).is_empty());
        assert_eq!(lacking_of(&["llama3.2", "llama3.2:1b"], answer), ["llama3.2", "llama3.2:1b"]);
        let of_another = r#"{"models": [{"name": "models.example:5000/team/own:latest"}]}"#;
        assert!(lacking_of(&["models.example:5000/team/own"], of_another).is_empty());
    }

    #[test]
    fn no_models_are_an_answer_and_anything_else_is_none() {
        assert_eq!(lacking_of(&["a"], r#"{"models": null}"#), ["a"]);
        assert_eq!(lacking_of(&["a"], r#"{"models": []}"#), ["a"]);
        for answer in ["", "<html>", r#"{"models": [{"size": 1}]}"#] {
            assert!(lacking(&["a".to_owned()], answer.as_bytes()).is_err(), "{answer}");
        }
    }
}
