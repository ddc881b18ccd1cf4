//! Money: EUR net of VAT in ten-thousandths, the precision of Hetzner's price lists.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Mul};

/// VAT that the price list adds, in percent.
pub const VAT_PERCENT: u64 = 19;

/// Hours after which the monthly price is reached: Hetzner's hourly prices are the monthly ones divided by this.
pub const HOURS_PER_MONTH: u64 = 624;

/// An amount of EUR in ten-thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(u64);

impl Money {
    /// An amount.
    #[must_use]
    pub const fn ten_thousandths(amount: u64) -> Self {
        Self(amount)
    }

    /// The price per hour that belongs to this price per month.
    #[must_use]
    pub const fn hourly(self) -> Self {
        Self((self.0 + HOURS_PER_MONTH / 2) / HOURS_PER_MONTH)
    }

    /// With VAT.
    #[must_use]
    pub const fn gross(self) -> Self {
        Self((self.0 * (100 + VAT_PERCENT) + 50) / 100)
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Mul<u64> for Money {
    type Output = Self;

    fn mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Money {
    /// A decimal with four places, as the API has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:04}", self.0 / 10_000, self.0 % 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_read_as_the_price_list_has_them() {
        let cx23 = Money::ten_thousandths(54_900);
        assert_eq!(cx23.to_string(), "5.4900");
        assert_eq!(cx23.hourly().to_string(), "0.0088");
        assert_eq!(Money::ten_thousandths(10_000).gross().to_string(), "1.1900");
    }
}
