//! The one guard of etcd's quorum: whether a member may be taken away now.
//!
//! Every path that takes a member away asks here: scale-down, upgrade, configuration, remediation and deletion alike.

use crate::guard::{self, Guard};
use crate::observed::EtcdFacts;

/// Voters that must agree in a membership of so many voters.
#[must_use]
pub fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// What the guard sees: who votes, and whose vote can be counted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    voters: Vec<u64>,
    healthy: Vec<u64>,
}

/// Why a member may not be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The members that answer are no majority even now.
    #[error("{healthy} of {voters} voters answer, which is no majority")]
    AlreadyLost {
        /// Voters that answer.
        healthy: usize,
        /// All voters.
        voters: usize,
    },
    /// Without it, the members that answer would be no majority of those left.
    #[error("without it, {healthy} of {voters} voters would answer, which is no majority")]
    WouldBeLost {
        /// Voters that would answer.
        healthy: usize,
        /// Voters that would be left.
        voters: usize,
    },
    /// It is the only voter.
    #[error("it is the only voter")]
    LastVoter,
}

impl Quorum {
    /// The quorum of a membership, where `answers` says whether a member's host answers.
    #[must_use]
    pub fn new(etcd: &EtcdFacts, answers: impl Fn(&str) -> bool) -> Self {
        let voters = || etcd.members.iter().filter(|member| !member.learner);
        Self {
            voters: voters().map(|member| member.id).collect(),
            healthy: voters().filter(|member| answers(&member.hostname)).map(|member| member.id).collect(),
        }
    }

    /// Whether the members that answer decide.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.healthy.len() >= majority(self.voters.len())
    }

    /// How many voters answer, and how many there are.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        (self.healthy.len(), self.voters.len())
    }

    /// Whether the member may be away for a while, as during a reboot: the others must hold a majority of the whole
    /// membership meanwhile. A single member is its own majority; that it pauses is somebody's decision, not etcd's.
    ///
    /// # Errors
    /// [`Refusal`], with the counts.
    pub fn may_pause(&self, member: u64) -> Result<(), Refusal> {
        let voters = self.voters.len();
        if !self.voters.contains(&member) || voters == 1 || !guard::holds(Guard::QuorumMayPause) {
            return Ok(());
        }
        let healthy = self.healthy.iter().filter(|id| **id != member).count();
        if healthy < majority(voters) {
            return Err(Refusal::WouldBeLost { healthy, voters });
        }
        Ok(())
    }

    /// Whether the member may be removed: the rest must hold a majority of the membership after the step. A learner has
    /// no vote and may always go; a dead voter may go as soon as the others decide.
    ///
    /// # Errors
    /// [`Refusal`], with the counts.
    pub fn may_remove(&self, member: u64) -> Result<(), Refusal> {
        if !self.voters.contains(&member) || !guard::holds(Guard::QuorumMayRemove) {
            return Ok(());
        }
        let (healthy, voters) = self.count();
        if !self.holds() {
            return Err(Refusal::AlreadyLost { healthy, voters });
        }
        let healthy = self.healthy.iter().filter(|id| **id != member).count();
        let voters = voters - 1;
        if voters == 0 {
            return Err(Refusal::LastVoter);
        }
        if healthy < majority(voters) {
            return Err(Refusal::WouldBeLost { healthy, voters });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::EtcdMember;

    fn quorum(members: &[(u64, bool, bool)]) -> Quorum {
        let etcd = EtcdFacts {
            members: members
                .iter()
                .map(|&(id, learner, _)| EtcdMember { id, hostname: id.to_string(), learner })
                .collect(),
        };
        let up: Vec<String> =
            members.iter().filter(|(_, _, answers)| *answers).map(|(id, ..)| id.to_string()).collect();
        Quorum::new(&etcd, |hostname| up.iter().any(|id| id == hostname))
    }

    #[test]
    fn a_dead_member_may_go_while_the_rest_decide() {
        assert_eq!(quorum(&[(1, false, true), (2, false, true), (3, false, false)]).may_remove(3), Ok(()));
    }

    #[test]
    fn nothing_goes_without_a_majority() {
        let quorum = quorum(&[(1, false, true), (2, false, false), (3, false, false)]);
        assert_eq!(quorum.may_remove(3), Err(Refusal::AlreadyLost { healthy: 1, voters: 3 }));
    }

    #[test]
    fn a_healthy_member_goes_only_if_the_rest_decide() {
        let degraded = quorum(&[(1, false, true), (2, false, true), (3, false, false)]);
        assert_eq!(degraded.may_remove(1), Err(Refusal::WouldBeLost { healthy: 1, voters: 2 }));
        assert_eq!(quorum(&[(1, false, true), (2, false, true), (3, false, true)]).may_remove(1), Ok(()));
        assert_eq!(quorum(&[(1, false, true)]).may_remove(1), Err(Refusal::LastVoter));
    }

    #[test]
    fn a_member_pauses_only_while_the_others_decide_without_it() {
        let all = quorum(&[(1, false, true), (2, false, true), (3, false, true)]);
        assert_eq!(all.may_pause(1), Ok(()));
        let two = quorum(&[(1, false, true), (2, false, true)]);
        assert_eq!(two.may_pause(1), Err(Refusal::WouldBeLost { healthy: 1, voters: 2 }));
        let degraded = quorum(&[(1, false, true), (2, false, true), (3, false, false)]);
        assert_eq!(degraded.may_pause(1), Err(Refusal::WouldBeLost { healthy: 1, voters: 3 }));
        assert_eq!(degraded.may_pause(3), Ok(()), "who is away already is missed by nobody");
        assert_eq!(quorum(&[(1, false, true)]).may_pause(1), Ok(()));
    }

    #[test]
    fn a_learner_may_always_go() {
        assert_eq!(quorum(&[(1, false, true), (2, true, false)]).may_remove(2), Ok(()));
    }
}
