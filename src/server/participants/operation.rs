//! What can be asked of the participants. Lives here: services, operations and which undoes which. Must not live here:
//! how any of them behaves.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the participant services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Sets goods aside.
    Inventory,
    /// Takes and returns money.
    Payment,
    /// Books parcels.
    Shipping,
}

/// One thing that a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Set goods aside.
    Reserve,
    /// Put them back.
    Release,
    /// Take the money.
    Charge,
    /// Return it.
    Refund,
    /// Send the receipt: cannot be undone.
    Receipt,
    /// Book the parcel.
    Ship,
    /// Cancel the booking.
    Cancel,
}

/// Whether an operation takes a saga forward or undoes a step of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// A step.
    Forward,
    /// A step's compensation.
    Compensation,
}

impl Service {
    /// Every service.
    pub const ALL: [Service; 3] = [Service::Inventory, Service::Payment, Service::Shipping];

    /// The service's name, as in paths and file names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Service::Inventory => "inventory",
            Service::Payment => "payment",
            Service::Shipping => "shipping",
        }
    }
}

impl Operation {
    /// Every operation, in the order of an undisturbed saga, each followed by what undoes it.
    pub const ALL: [Operation; 7] = [
        Operation::Reserve,
        Operation::Release,
        Operation::Charge,
        Operation::Refund,
        Operation::Ship,
        Operation::Cancel,
        Operation::Receipt,
    ];

    /// The operation's name, as in paths and ledgers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Reserve => "reserve",
            Operation::Release => "release",
            Operation::Charge => "charge",
            Operation::Refund => "refund",
            Operation::Receipt => "receipt",
            Operation::Ship => "ship",
            Operation::Cancel => "cancel",
        }
    }

    /// The operation behind the path `/{service}/{operation}`.
    #[must_use]
    pub fn from_path(service: &str, operation: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|candidate| candidate.as_str() == operation && candidate.service().as_str() == service)
    }

    /// Who does it.
    #[must_use]
    pub fn service(self) -> Service {
        match self {
            Operation::Reserve | Operation::Release => Service::Inventory,
            Operation::Charge | Operation::Refund | Operation::Receipt => Service::Payment,
            Operation::Ship | Operation::Cancel => Service::Shipping,
        }
    }

    /// What it undoes, if it is a compensation.
    #[must_use]
    pub fn undoes(self) -> Option<Operation> {
        match self {
            Operation::Release => Some(Operation::Reserve),
            Operation::Refund => Some(Operation::Charge),
            Operation::Cancel => Some(Operation::Ship),
            Operation::Reserve | Operation::Charge | Operation::Receipt | Operation::Ship => None,
        }
    }

    /// What undoes it, if anything does.
    #[must_use]
    pub fn undone_by(self) -> Option<Operation> {
        Self::ALL.into_iter().find(|candidate| candidate.undoes() == Some(self))
    }

    /// Its direction.
    #[must_use]
    pub fn direction(self) -> Direction {
        match self.undoes() {
            Some(_) => Direction::Compensation,
            None => Direction::Forward,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_path_of_its_own_and_pairs_stay_in_one_service() {
        for operation in Operation::ALL {
            let path = Operation::from_path(operation.service().as_str(), operation.as_str());
            assert_eq!(path, Some(operation));
            if let Some(forward) = operation.undoes() {
                assert_eq!(forward.service(), operation.service());
                assert_eq!(forward.undone_by(), Some(operation));
            }
        }
        assert_eq!(Operation::from_path("payment", "reserve"), None);
    }
}
