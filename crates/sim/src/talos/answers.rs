//! How the answers of several machines become one: Talos' replies are lists of messages, each with its machine's name.

use tonic::Status;

use super::caller::metadata;
use super::route::Target;
use super::wire::common::Metadata;
use super::wire::machine::*;
use crate::world::ServerId;

/// An answer of one machine, which carries its name when it goes among others.
pub(super) trait Answer {
    fn signed(metadata: Option<Metadata>) -> Self;
    fn metadata(&mut self) -> &mut Option<Metadata>;
}

macro_rules! answers {
    ($($message:ident),* $(,)?) => {$(
        #[allow(clippy::needless_update, reason = "some messages hold nothing else")]
        impl Answer for $message {
            fn signed(metadata: Option<Metadata>) -> Self {
                Self { metadata, ..Self::default() }
            }

            fn metadata(&mut self) -> &mut Option<Metadata> {
                &mut self.metadata
            }
        }
    )*};
}

answers!(
    ApplyConfiguration,
    Bootstrap,
    EtcdForfeitLeadership,
    EtcdLeaveCluster,
    EtcdMembers,
    EtcdRecover,
    EtcdRemoveMemberById,
    EtcdStatus,
    GenerateClientConfiguration,
    Reboot,
    Reset,
    ServiceList,
    ServiceRestart,
    Shutdown,
    Upgrade,
    Version,
);

/// Asks each machine in turn. One on its own fails the call with its error; among others its error is its answer.
pub(super) async fn ask_each<M, F>(targets: Vec<Target>, ask: impl Fn(ServerId) -> F) -> Result<Vec<M>, Status>
where
    M: Answer,
    F: Future<Output = Result<M, Status>>,
{
    let mut answers = Vec::with_capacity(targets.len());
    for Target { machine, name } in targets {
        let answer = match machine {
            Ok(machine) => ask(machine).await,
            Err(error) => Err(error),
        };
        answers.push(match (name, answer) {
            (None, answer) => answer?,
            (Some(name), Ok(mut answer)) => {
                *answer.metadata() = Some(metadata(&name, None));
                answer
            }
            (Some(name), Err(error)) => M::signed(Some(metadata(&name, Some(&error)))),
        });
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_among_others_answers_with_its_error() {
        let targets = vec![
            Target { machine: Ok(ServerId(1)), name: Some("a".to_owned()) },
            Target { machine: Err(Status::unavailable("gone")), name: Some("b".to_owned()) },
        ];
        let answers: Vec<Version> = ask_each(targets, async |_| Ok(Version::default())).await.unwrap();
        let told = |answer: &Version| answer.metadata.clone().unwrap();
        assert_eq!(told(&answers[0]).error, "");
        assert_eq!(told(&answers[1]).hostname, "b");
        assert!(told(&answers[1]).error.contains("gone"));
    }
}
