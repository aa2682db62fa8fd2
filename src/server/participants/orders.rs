//! Orders, and the demo's sample of them. Lives here: what an order is and a deterministic mix of lucky and unlucky ones.
//! Must not live here: what their words mean to a participant (that is `behavior`).

use serde::{Deserialize, Serialize};

/// The demo's sample orders, as JSON: `config/demo-orders.json`.
pub const DEMO_ORDERS: &str = include_str!("../../../config/demo-orders.json");

/// An order, as the demo's saga gets it and as it sends it to the participants.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Order {
    /// The order's id, the saga's too.
    pub order_id: String,
    /// Who ordered.
    #[serde(default)]
    pub customer: String,
    /// What was ordered. Its first word may speak to the inventory.
    #[serde(default)]
    pub sku: String,
    /// How many.
    #[serde(default)]
    pub quantity: u32,
    /// What is paid with. Its first word may speak to the payment service.
    #[serde(default)]
    pub card: String,
    /// What it costs, in cents.
    #[serde(default)]
    pub amount_cents: u64,
    /// Where it goes. Its first word may speak to the shipping service.
    #[serde(default)]
    pub address: String,
}

/// Why a file of orders cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OrdersError {
    /// Not a JSON array of orders.
    #[error("expected a JSON array of orders, like config/demo-orders.json: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Two orders with one id: the second would be taken for the first.
    #[error("order id {0:?} occurs twice; give each order its own")]
    Duplicate(String),
}

/// The luck of a hundred orders: how many, and the first words of sku, card and address.
const MIX: [(usize, [&str; 3]); 18] = [
    (10, ["", "declined-", ""]),
    (3, ["flaky-", "declined-", ""]),
    (2, ["drop-", "declined-", ""]),
    (8, ["soldout-", "", ""]),
    (3, ["", "", "undeliverable-"]),
    (1, ["hang-", "", "undeliverable-"]),
    (1, ["", "drop-", "undeliverable-"]),
    (3, ["flaky-", "", ""]),
    (4, ["", "flaky-", ""]),
    (3, ["", "", "flaky-"]),
    (3, ["slow-", "", ""]),
    (3, ["", "slow-", ""]),
    (2, ["", "", "slow-"]),
    (2, ["drop-", "", ""]),
    (2, ["", "drop-", ""]),
    (1, ["", "", "drop-"]),
    (1, ["", "hang-", ""]),
    // Everything else goes well.
    (48, ["", "", ""]),
];

const CUSTOMERS: [&str; 7] = ["Ada", "Barbara", "Edsger", "Grace", "Hector", "Kenneth", "Leslie"];
const GOODS: [(&str, u64); 5] = [
    ("teapot", 2_450),
    ("lamp", 3_900),
    ("kettle", 5_200),
    ("clock", 8_750),
    ("mug", 990),
];
const CARDS: [&str; 3] = ["visa-4242", "maestro-6759", "amex-3782"];
const CITIES: [&str; 6] = ["Utrecht", "Porto", "Ghent", "Malmo", "Graz", "Lyon"];

/// `count` orders, always the same ones: of each hundred, 15 have a card that is declined, 8 something that is sold out,
/// 5 an address that nobody delivers to, and 24 meet services that are flaky or slow or lose an answer.
#[must_use]
pub fn sample_orders(count: usize) -> Vec<Order> {
    (0..count).map(sample_order).collect()
}

fn sample_order(index: usize) -> Order {
    // 37 and 100 have no common factor: each hundred draws every ticket once, well mixed.
    let [sku, card, address] = luck((index * 37 + 11) % 100);
    let pick = |length: usize, stride: usize| (index * stride + index / length) % length;
    let (goods, price) = GOODS.get(pick(GOODS.len(), 3)).copied().unwrap_or_default();
    let quantity = index % 3 + 1;
    Order {
        order_id: format!("order-{:03}", index + 1),
        customer: CUSTOMERS
            .get(pick(CUSTOMERS.len(), 2))
            .copied()
            .unwrap_or_default()
            .to_owned(),
        sku: format!("{sku}{goods}"),
        quantity: u32::try_from(quantity).unwrap_or(1),
        card: format!("{card}{}", CARDS.get(pick(CARDS.len(), 2)).copied().unwrap_or_default()),
        amount_cents: price * quantity as u64,
        address: format!(
            "{address}{}",
            CITIES.get(pick(CITIES.len(), 5)).copied().unwrap_or_default()
        ),
    }
}

fn luck(mut ticket: usize) -> [&'static str; 3] {
    for (tickets, words) in MIX {
        match ticket.checked_sub(tickets) {
            Some(rest) => ticket = rest,
            None => return words,
        }
    }
    [""; 3]
}

impl Order {
    /// Reads a JSON array of orders, ids checked.
    ///
    /// # Errors
    /// When it is not one, or two orders have the same id.
    pub fn parse_all(json: &str) -> Result<Vec<Order>, OrdersError> {
        let orders: Vec<Order> = serde_json::from_str(json)?;
        let mut seen = std::collections::BTreeSet::new();
        for order in &orders {
            if !seen.insert(&order.order_id) {
                return Err(OrdersError::Duplicate(order.order_id.clone()));
            }
        }
        Ok(orders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One order a line, so that a diff of the file reads well.
    fn to_text(orders: &[Order]) -> String {
        let lines: Vec<String> = orders
            .iter()
            .map(|order| serde_json::to_string(order).unwrap())
            .collect();
        format!("[\n  {}\n]\n", lines.join(",\n  "))
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a developer's switch")]
    fn the_sample_file_is_what_the_generator_makes() {
        let text = to_text(&sample_orders(300));
        if std::env::var_os("AMENDS_UPDATE_SAMPLES").is_some() {
            std::fs::write("config/demo-orders.json", &text).unwrap();
        }
        assert!(
            DEMO_ORDERS == text,
            "config/demo-orders.json is out of date: run AMENDS_UPDATE_SAMPLES=1 cargo test --features server sample_file"
        );
    }

    #[test]
    fn the_mix_is_as_promised() {
        assert_eq!(MIX.iter().map(|(tickets, _)| tickets).sum::<usize>(), 100);
        let orders = Order::parse_all(DEMO_ORDERS).unwrap();
        let count = |word: &str| {
            let unlucky = |order: &&Order| {
                [&order.sku, &order.card, &order.address]
                    .iter()
                    .any(|text| text.starts_with(word))
            };
            orders.iter().filter(unlucky).count()
        };
        assert_eq!((orders.len(), count("declined-"), count("soldout-")), (300, 45, 24));
        assert!(count("flaky-") > 0 && count("slow-") > 0 && count("drop-") > 0 && count("hang-") > 0);
    }

    #[test]
    fn an_order_id_occurs_once() {
        let error = Order::parse_all(r#"[{"order_id":"a"},{"order_id":"a"}]"#).unwrap_err();
        assert!(error.to_string().contains("\"a\" occurs twice"), "{error}");
    }
}
