//! What holds of every platform: from nothing it gets Ready, from any loss it comes to rest, no plan on the way breaks
//! an invariant, and at rest there is nothing left to do.

use std::collections::BTreeSet;

use helix_crds::PhaseName;
use helix_plan::farewell::Farewell;
use helix_plan::forecast::{Ending, Forecast, assumed, forecast, forecast_teardown};
use helix_plan::observed::{CloudFacts, Observed};
use helix_plan::plan;
use helix_plan::quorum::majority;
use helix_plan::step::Step;
use helix_plan::validated::ValidatedPlatform;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::loss::{Loss, befall};
use crate::random::{losses, now, platforms};

fn from_nothing(platform: &ValidatedPlatform) -> Forecast {
    let cloud = CloudFacts { images: assumed::images(platform), ..CloudFacts::default() };
    forecast(platform, Observed::nothing(cloud, now()), now())
}

fn is_ready(forecast: &Forecast, platform: &ValidatedPlatform) -> bool {
    let mut asked = PhaseName::ALL.into_iter().filter(|phase| *phase <= platform.until);
    asked.all(|phase| forecast.report.phase(phase).is_ready())
}

/// At rest by its own account, and the planner agrees.
fn is_at_rest(forecast: &Forecast, platform: &ValidatedPlatform) -> Result<(), TestCaseError> {
    prop_assert_eq!(&forecast.ending, &Ending::Settled);
    let again = plan(platform, &forecast.world, now());
    prop_assert!(again.items.is_empty(), "still to do: {:?}", again.items);
    let cloud = forecast.world.cloud.value().expect("Hetzner is known");
    let names: BTreeSet<&str> = cloud.servers.iter().map(|server| server.name.as_str()).collect();
    prop_assert_eq!(names.len(), cloud.servers.len(), "two servers of one name");
    Ok(())
}

/// Whether the losses leave something that only a person can bring back, or that this Helix cannot mend yet.
fn is_mendable(platform: &ValidatedPlatform, lost: &BTreeSet<Loss>) -> bool {
    let control_plane = |name: &str| name.starts_with("random-cp-");
    let voters = platform.control_plane.replicas as usize;
    let gone = lost.iter().filter(|loss| matches!(loss, Loss::Server(name) if control_plane(name))).count();
    let silent = lost
        .iter()
        .filter_map(|loss| match loss {
            Loss::Server(name) | Loss::Power(name) if control_plane(name) => Some(name),
            _ => None,
        })
        .collect::<BTreeSet<_>>()
        .len();
    // Control planes that are merely off come back; servers that are gone need the others to decide.
    let quorum = gone == 0 || voters - silent >= majority(voters);
    !lost.contains(&Loss::Bundle) && !lost.contains(&Loss::BootstrapRecord) && quorum
}

/// The same cases at every run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` ask for others.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match default.rng_seed {
        RngSeed::Random => ProptestConfig { cases: 96, rng_seed: RngSeed::Fixed(20_261_121), ..default },
        RngSeed::Fixed(_) => default,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn from_nothing_every_phase_gets_ready(platform in platforms()) {
        let forecast = from_nothing(&platform);
        is_at_rest(&forecast, &platform)?;
        prop_assert!(is_ready(&forecast, &platform), "{:#?}", forecast.report);
        let creations = forecast.items().filter(|item| matches!(item.step, Step::CreateServer(_))).count();
        let machines = if platform.until == PhaseName::HardenedCore { 0 } else { platform.machines() };
        prop_assert_eq!(creations, machines as usize);
    }

    #[test]
    fn after_any_loss_it_comes_to_rest(
        platform in platforms(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let mut world = from_nothing(&platform).world;
        let all = losses(&world);
        let lost: BTreeSet<Loss> = picks.iter().map(|pick| pick.get(&all).clone()).collect();
        befall(&lost, &mut world);
        let forecast = forecast(&platform, world, now());
        is_at_rest(&forecast, &platform)?;
        if is_mendable(&platform, &lost) {
            prop_assert!(is_ready(&forecast, &platform), "lost {:?}: {:#?}", lost, forecast.report);
        }
        let recorded = forecast.items().any(|item| matches!(item.step, Step::RecordBootstrap { .. }));
        let had_record = platform.until > PhaseName::HardenedCore && !lost.contains(&Loss::BootstrapRecord);
        prop_assert!(!(recorded && had_record), "etcd would be bootstrapped elsewhere");
    }

    #[test]
    fn a_teardown_leaves_nothing(
        platform in platforms(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut world = from_nothing(&platform).world;
        let all = losses(&world);
        befall(picks.iter().map(|pick| pick.get(&all)), &mut world);
        let forecast = forecast_teardown(&platform.identity, &Farewell::plain(now()), world, now());
        prop_assert_eq!(&forecast.ending, &Ending::Settled);
        let cloud = forecast.world.cloud.value().expect("Hetzner is known");
        let images = cloud.images.clone();
        prop_assert_eq!(cloud, &CloudFacts { images, ..CloudFacts::default() });
        let store = forecast.world.store.value().expect("the store is known");
        prop_assert_eq!(store, &helix_plan::observed::StoreFacts::default());
    }
}
