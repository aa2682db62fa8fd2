//! What each shipped definition needs: its participants' operations, what they answer, and an input. Must not live here:
//! tests.

use serde_json::{Value, json};

use super::Shipped;
use super::world::{Does, Operation};

const fn forward(name: &'static str, answer: fn() -> Value) -> Operation {
    Operation {
        name,
        does: Does::Apply,
        answer,
    }
}

const fn back(name: &'static str, undoes: &'static str) -> Operation {
    Operation {
        name,
        does: Does::Undo(undoes),
        answer: || json!({"undone": true}),
    }
}

const SHOP: [Operation; 7] = [
    forward("inventory/reserve", || json!({"reservation_id": "r-1"})),
    back("inventory/release", "inventory/reserve"),
    forward("payment/charge", || json!({"charge_id": "c-1"})),
    back("payment/refund", "payment/charge"),
    forward("shipping/ship", || json!({"tracking_id": "t-1"})),
    back("shipping/cancel", "shipping/ship"),
    forward("payment/receipt", || json!({"sent": true})),
];

fn order_id(body: &Value) -> String {
    let sku = body["sku"].as_str().filter(|sku| sku.starts_with("line-"));
    let order = body["order_id"].as_str().unwrap_or_default();
    match sku {
        Some(sku) => format!("{order}/{sku}"),
        None => order.to_owned(),
    }
}

pub(super) static PLACE_ORDER: Shipped = Shipped {
    files: &["place-order.toml"],
    config: &[
        ("inventory", "inventory"),
        ("payment", "payment"),
        ("shipping", "shipping"),
    ],
    operations: &SHOP,
    effects: &[
        Some("inventory/reserve"),
        Some("payment/charge"),
        Some("shipping/ship"),
        Some("payment/receipt"),
    ],
    subject: order_id,
    input: |id| json!({"order_id": id, "sku": "lamp", "card": "visa-4242"}),
};

pub(super) static PROVISION_TENANT: Shipped = Shipped {
    files: &["provision-tenant.toml"],
    config: &[("tools", "tools")],
    operations: &[
        forward("check-contract", || json!({"signed": true})),
        forward(
            "create-database",
            || json!({"url": "postgres://db-7", "host": "db-7.internal"}),
        ),
        back("drop-database", "create-database"),
        forward("migrate-schema", || json!(null)),
        forward("create-record", || json!(null)),
        back("delete-record", "create-record"),
    ],
    effects: &[
        Some("check-contract"),
        Some("create-database"),
        Some("migrate-schema"),
        Some("create-record"),
    ],
    subject: |_| String::new(),
    input: |id| json!({"tenant": id}),
};

pub(super) static APPROVE_EXPENSE: Shipped = Shipped {
    files: &["approve-expense.toml"],
    config: &[("ledger", "ledger"), ("bank", "bank"), ("mail", "mail")],
    operations: &[
        forward("ledger/record", || json!({"recorded": true})),
        back("ledger/withdraw", "ledger/record"),
        forward("ledger/book", || json!({"booked": true})),
        back("ledger/unbook", "ledger/book"),
        forward("bank/transfer", || json!({"transfer_id": "t-1"})),
        back("bank/cancel", "bank/transfer"),
        forward("mail/paid", || json!({"sent": true})),
    ],
    effects: &[
        Some("ledger/record"),
        None,
        Some("ledger/book"),
        Some("bank/transfer"),
        Some("mail/paid"),
    ],
    subject: |body| body["expense_id"].as_str().unwrap_or_default().to_owned(),
    input: |id| {
        let cents = if id.starts_with("large") { 50_000 } else { 4_200 };
        json!({"expense_id": id, "employee": "bo", "cents": cents})
    },
};

pub(super) static SHIP_BASKET: Shipped = Shipped {
    files: &["ship-basket.toml", "place-order.toml"],
    config: &[
        ("warehouse", "warehouse"),
        ("carrier", "carrier"),
        ("inventory", "inventory"),
        ("payment", "payment"),
        ("shipping", "shipping"),
    ],
    operations: &[
        SHOP[0],
        SHOP[1],
        SHOP[2],
        SHOP[3],
        SHOP[4],
        SHOP[5],
        SHOP[6],
        forward("warehouse/pick", || json!({"box": "b-1"})),
        back("warehouse/put-back", "warehouse/pick"),
        forward("carrier/hand-over", || json!({"accepted": true})),
        back("carrier/recall", "carrier/hand-over"),
        forward("carrier/track", || json!({"tracked": true})),
    ],
    effects: &[
        Some("warehouse/pick"),
        None,
        Some("carrier/hand-over"),
        Some("carrier/track"),
    ],
    subject: order_id,
    input: |id| {
        let lines: Vec<Value> = (1..=4).map(|line| json!({"sku": format!("line-{line}")})).collect();
        json!({"order_id": id, "card": "visa-4242", "lines": lines})
    },
};

pub(super) static NIGHTLY_SETTLEMENT: Shipped = Shipped {
    files: &["nightly-settlement.toml"],
    config: &[("tools", "tools")],
    operations: &[
        forward("close-ledger", || json!(null)),
        back("reopen-ledger", "close-ledger"),
        forward("collect-fees", || json!({"cents": 12})),
        back("return-fees", "collect-fees"),
        forward("settle", || json!({"receipt": "bank-1"})),
        Operation {
            name: "settlement-state",
            does: Does::Verify("settle"),
            answer: || json!({"receipt": "bank-1"}),
        },
        forward("report", || json!(null)),
        forward("page", || json!(null)),
    ],
    effects: &[
        Some("close-ledger"),
        Some("collect-fees"),
        None,
        Some("settle"),
        Some("report"),
    ],
    subject: |_| String::new(),
    input: |id| json!({"day": id}),
};
