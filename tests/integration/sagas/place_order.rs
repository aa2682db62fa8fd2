//! `place-order.toml`: three HTTP services, a pivot, a retriable step.

use serde_json::{Value, json};

use super::{Operation, Shipped, plays_to_the_end};

const fn forward(name: &'static str, answer: fn() -> Value) -> Operation {
    Operation {
        name,
        undoes: None,
        answer,
    }
}

const fn back(name: &'static str, undoes: &'static str) -> Operation {
    Operation {
        name,
        undoes: Some(undoes),
        answer: || json!({"undone": true}),
    }
}

static PLACE_ORDER: Shipped = Shipped {
    file: "place-order.toml",
    config: &[
        ("inventory", "inventory"),
        ("payment", "payment"),
        ("shipping", "shipping"),
    ],
    operations: &[
        forward("inventory/reserve", || json!({"reservation_id": "r-1"})),
        back("inventory/release", "inventory/reserve"),
        forward("payment/charge", || json!({"charge_id": "c-1"})),
        back("payment/refund", "payment/charge"),
        forward("shipping/ship", || json!({"tracking_id": "t-1"})),
        back("shipping/cancel", "shipping/ship"),
        forward("payment/receipt", || json!({"sent": true})),
    ],
    effects: &[
        Some("inventory/reserve"),
        Some("payment/charge"),
        Some("shipping/ship"),
        Some("payment/receipt"),
    ],
    subject: |body| body["order_id"].as_str().unwrap_or_default().to_owned(),
    input: |id| json!({"order_id": id, "sku": "lamp", "card": "visa-4242"}),
};

#[test]
fn an_order_is_placed_or_everything_is_given_back() {
    plays_to_the_end(&PLACE_ORDER);
}
