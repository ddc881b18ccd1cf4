//! Actions: what a mutation started and how it goes, asked for 25 ids at a time.

use helix_engine::seams::{ActionFacts, ActionState, CloudError};
use helix_plan::step::Lane;

use super::request::{Request, Subject};
use super::transport::Transport;
use super::wire::{Action, Actions};

/// Ids in one request: what is known to be answered without a second page.
const BATCH: usize = 25;

pub(super) fn get(ids: &[u64]) -> Request {
    let request = Request::get("/actions", Subject::all("action"));
    ids.iter().fold(request, |request, id| request.with("id", id.to_string()))
}

/// The state of the actions that Hetzner still knows, in no particular order.
pub(super) async fn states(transport: &Transport, lane: Lane, ids: &[u64]) -> Result<Vec<ActionFacts>, CloudError> {
    let mut states = Vec::with_capacity(ids.len());
    for batch in ids.chunks(BATCH) {
        let answer: Actions = transport.call(lane, &get(batch)).await?;
        states.extend(answer.actions.into_iter().map(facts));
    }
    Ok(states)
}

fn facts(action: Action) -> ActionFacts {
    let state = match (action.status.as_str(), action.error) {
        ("success", _) => ActionState::Succeeded,
        ("error", Some(error)) => ActionState::Failed { code: error.code, message: error.message },
        ("error", None) => ActionState::Failed { code: String::new(), message: "no reason was given".to_owned() },
        // A state that is new to us has not ended, as far as we know.
        _ => ActionState::Running,
    };
    ActionFacts { id: action.id, command: action.command, state }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: &str, error: &str) -> ActionState {
        let text = format!(r#"{{"id": 7, "command": "create_server", "status": "{status}", "error": {error}}}"#);
        facts(serde_json::from_str(&text).unwrap()).state
    }

    #[test]
    fn an_action_runs_until_it_is_known_to_have_ended() {
        assert_eq!(read("running", "null"), ActionState::Running);
        assert_eq!(read("paused_by_the_future", "null"), ActionState::Running);
        assert_eq!(read("success", "null"), ActionState::Succeeded);
        let failed = ActionState::Failed { code: "action_failed".into(), message: "words".into() };
        assert_eq!(read("error", r#"{"code": "action_failed", "message": "words"}"#), failed);
    }
}
