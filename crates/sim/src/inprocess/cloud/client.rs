//! The client of one engine process: the universe that it speaks to, and the budget that it keeps of its token.

use helix_engine::budget::TokenBudget;
use helix_engine::seams::{Accepted, Clock as _, CloudError};
use helix_plan::step::Lane;

use super::orders::path_of_change;
use super::request::{Draw, already};
use crate::inprocess::{Inner, Universe};
use crate::world::load_balancers::LoadBalancerChange;
use crate::world::{ErrorCode, LoadBalancerId};

/// One process's way to the API, with the budget that it keeps of its token.
pub(in crate::inprocess) struct Client {
    universe: Universe,
    pub(super) budget: TokenBudget,
}

impl Client {
    /// One that has asked nothing yet.
    pub(in crate::inprocess) fn new(universe: Universe) -> Self {
        let budget = TokenBudget::new(universe.now());
        Self { universe, budget }
    }

    /// What a request in that lane draws on.
    pub(super) fn on(&self, lane: Lane) -> Draw<'_> {
        Draw { budget: &self.budget, lane }
    }

    pub(super) async fn ask<T>(&self, name: &'static str, act: impl FnOnce(&mut Inner) -> T) -> T {
        self.universe.ask(name, act).await
    }

    pub(super) async fn tell<T>(&self, name: &'static str, act: impl FnOnce(&mut Inner) -> T) -> T {
        self.universe.tell(name, act).await
    }

    /// One change of a load balancer; what it already is counts as done.
    pub(super) async fn change_balancer(
        &self,
        lane: Lane,
        balancer: u64,
        change: LoadBalancerChange,
        already_so: &[ErrorCode],
    ) -> Result<Accepted<()>, CloudError> {
        let path = path_of_change(&change);
        let result = self.tell("change balancer", |inner| {
            inner.request(self.on(lane), "POST", path, |inner| {
                inner.world.change_load_balancer(inner.project, LoadBalancerId(balancer), change.clone(), inner.now)
            })
        });
        already(result.await, already_so)
    }
}
