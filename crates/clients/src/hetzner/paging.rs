//! Whole lists: page after page, and only if they hold together.

use std::collections::BTreeMap;

use helix_engine::seams::CloudError;
use helix_plan::step::Lane;
use serde::de::DeserializeOwned;

use super::request::Request;
use super::transport::Transport;
use super::wire::Page;

/// The most that Hetzner puts on a page; what a larger wish does is not documented.
const PER_PAGE: &str = "50";
/// 10,000 resources of a kind: more is an endpoint that never ends a list.
const MOST_PAGES: usize = 200;
/// How often a list that changes while it is read is read from its start.
const ATTEMPTS: usize = 3;

/// What lists are made of.
pub(super) trait Item: DeserializeOwned {
    fn id(&self) -> u64;
}

impl Transport {
    /// All items of a list, by id, each once.
    ///
    /// When something is deleted between two pages, what follows moves up and one item falls between them. A server
    /// that seems gone is no small thing, so the count that Hetzner gives must be met, or the list is read again.
    pub(super) async fn list<T: Item>(&self, lane: Lane, request: &Request) -> Result<Vec<T>, CloudError> {
        for _ in 0..ATTEMPTS {
            if let Some(items) = self.list_once(lane, request).await? {
                return Ok(items);
            }
        }
        Err(CloudError::Conflict {
            message: format!("the list of {}s keeps changing while it is read", request.subject),
        })
    }

    async fn list_once<T: Item>(&self, lane: Lane, request: &Request) -> Result<Option<Vec<T>>, CloudError> {
        let mut items = BTreeMap::new();
        let mut number = 1;
        for _ in 0..MOST_PAGES {
            let wanted = request.clone().with("page", number.to_string()).with("per_page", PER_PAGE);
            let page: Page<T> = self.call(lane, &wanted).await?;
            items.extend(page.items.into_iter().map(|item| (item.id(), item)));
            match page.meta.pagination.next_page {
                Some(next) if next > number => number = next,
                Some(_) => return Err(self.malformed("its pages lead back")),
                None => {
                    let complete = page.meta.pagination.total_entries.is_none_or(|total| total == items.len());
                    return Ok(complete.then(|| items.into_values().collect()));
                }
            }
        }
        Err(self.malformed(&format!("a list of more than {MOST_PAGES} pages")))
    }
}
