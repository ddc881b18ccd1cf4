//! The program of `tools/policycheck`, which answers one question a line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};

/// Where `cargo xtask test` says that it is.
const VARIABLE: &str = "HELIX_POLICYCHECK";

/// The running program; it ends with the test.
pub(crate) struct Engine {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Answer(Answer),
    Refusal { error: String },
}

/// What is said to one question.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) lookups: Vec<bool>,
}

/// The places of the ports on which a call passes in a direction; none where the direction is not judged.
#[derive(Debug, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) egress: Option<Vec<usize>>,
    pub(crate) ingress: Option<Vec<usize>>,
}

/// A question of a pod to the cluster's DNS; parties and ports by their places.
#[derive(Serialize)]
pub(crate) struct Lookup {
    pub(crate) from: usize,
    pub(crate) resolver: usize,
    pub(crate) port: usize,
    pub(crate) name: String,
}

impl Engine {
    pub(crate) fn start() -> Self {
        let program = std::env::var_os(VARIABLE).unwrap_or_else(|| {
            panic!("{VARIABLE} is not set; run this test with `cargo xtask test`, which builds what it names")
        });
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (questions, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, questions, answers }
    }

    /// Asks one line, and waits for the answer.
    pub(crate) fn ask(&mut self, question: &str) -> Result<Answer, String> {
        self.questions.write_all(question.as_bytes()).unwrap();
        self.questions.write_all(b"\n").unwrap();
        let mut said = String::new();
        self.answers.read_line(&mut said).unwrap();
        match serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}")) {
            Said::Answer(answer) => Ok(answer),
            Said::Refusal { error } => Err(error),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
