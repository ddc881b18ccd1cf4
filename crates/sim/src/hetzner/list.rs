//! Lists: paging, sorting, and filters by name and label.

use serde_json::{Value, json};

use super::body::Params;
use super::reply::{Answer, Reply};
use crate::world::{ApiError, Labels, Meta, Selector};

const DEFAULT_PER_PAGE: usize = 25;
/// More on one page is refused (behaviour 7; what Hetzner does is undocumented).
const MAX_PER_PAGE: usize = 50;

/// What a list is asked for.
pub(super) struct ListQuery {
    page: usize,
    per_page: usize,
    name: Option<String>,
    selector: Option<Selector>,
    sort: Vec<(SortKey, bool)>,
    /// Filters of one kind of resource, by name.
    extra: Vec<(String, String)>,
}

#[derive(Clone, Copy)]
enum SortKey {
    Id,
    Name,
    Created,
}

impl ListQuery {
    /// Reads the parameters; `extra` are the filters that this list knows beyond the usual ones.
    pub(super) fn read(Params(pairs): Params, extra: &[&str]) -> Result<Self, ApiError> {
        let mut query = Self {
            page: 1,
            per_page: DEFAULT_PER_PAGE,
            name: None,
            selector: None,
            sort: Vec::new(),
            extra: Vec::new(),
        };
        for (key, value) in pairs {
            match key.as_str() {
                "page" => query.page = number(&key, &value, usize::MAX)?,
                "per_page" => query.per_page = number(&key, &value, MAX_PER_PAGE)?,
                "name" => query.name = Some(value),
                "label_selector" if value.is_empty() => {}
                "label_selector" => query.selector = Some(Selector::parse(&value)?),
                "sort" => query.sort.push(sort_key(&value)?),
                known if extra.contains(&known) => query.extra.push((key, value)),
                unknown => return Err(ApiError::invalid(unknown, "is not a known parameter")),
            }
        }
        Ok(query)
    }

    /// Whether the filter is absent or one of its values is `found`.
    pub(super) fn wants(&self, filter: &str, found: &str) -> bool {
        let mut wanted = self.values(filter).peekable();
        wanted.peek().is_none() || wanted.any(|value| value == found)
    }

    /// The values of a filter.
    pub(super) fn values<'a>(&'a self, filter: &'a str) -> impl Iterator<Item = &'a str> {
        self.extra.iter().filter(move |(key, _)| key == filter).map(|(_, value)| value.as_str())
    }

    /// Answers with the page of `items` under `key`.
    pub(super) fn answer<'a, T: 'a>(
        &self,
        key: &str,
        items: impl Iterator<Item = &'a T>,
        meta: impl Fn(&T) -> &Meta,
        view: impl Fn(&T) -> Value,
    ) -> Answer {
        let mut found: Vec<&T> = items.filter(|item| self.selects(meta(item))).collect();
        // From the least to the most significant key; the items come in the order of their ids.
        for (sort, descending) in self.sort.iter().rev() {
            match sort {
                SortKey::Id => {}
                SortKey::Name => found.sort_by(|a, b| meta(a).name.cmp(&meta(b).name)),
                SortKey::Created => found.sort_by_key(|item| meta(item).created),
            }
            if *descending {
                found.reverse();
            }
        }
        Ok(self.page_of(key, &found, |item| view(item)))
    }

    /// Answers with the page of a list that has no names or labels to select by.
    pub(super) fn page_of<T>(&self, key: &str, found: &[T], view: impl Fn(&T) -> Value) -> Reply {
        let total = found.len();
        let last = total.div_ceil(self.per_page).max(1);
        let first = (self.page - 1).saturating_mul(self.per_page);
        let page: Vec<Value> = found.iter().skip(first).take(self.per_page).map(view).collect();
        let pagination = json!({
            "page": self.page,
            "per_page": self.per_page,
            "previous_page": (self.page > 1).then(|| self.page - 1),
            "next_page": (self.page < last).then(|| self.page + 1),
            "last_page": last,
            "total_entries": total,
        });
        Reply::Ok(json!({key: page, "meta": {"pagination": pagination}}))
    }

    /// Whether the name filter, if there is one, is `name`.
    pub(super) fn names(&self, name: &str) -> bool {
        self.name.as_deref().is_none_or(|wanted| wanted == name)
    }

    /// Whether the label selector, if there is one, selects these labels.
    pub(super) fn selects_labels(&self, labels: &Labels) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.matches(labels))
    }

    fn selects(&self, meta: &Meta) -> bool {
        self.names(&meta.name) && self.selects_labels(&meta.labels)
    }
}

fn number(key: &str, value: &str, max: usize) -> Result<usize, ApiError> {
    let number = value.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| ApiError::invalid(key, "is out of range"))
}

fn sort_key(value: &str) -> Result<(SortKey, bool), ApiError> {
    let (key, direction) = value.split_once(':').unwrap_or((value, "asc"));
    let key = match key {
        "id" => SortKey::Id,
        "name" => SortKey::Name,
        "created" => SortKey::Created,
        _ => return Err(ApiError::invalid("sort", "is not a known key")),
    };
    match direction {
        "asc" => Ok((key, false)),
        "desc" => Ok((key, true)),
        _ => Err(ApiError::invalid("sort", "is neither asc nor desc")),
    }
}
