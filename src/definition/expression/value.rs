//! Between JSON and CEL. Integers stay integers, floats floats. Must not live here: parsing or evaluating expressions.

use std::collections::{BTreeMap, HashMap};

use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelOptional, CelString, CelUInt,
};
use cel::common::value::Val;
use serde_json::{Number, Value};

/// A JSON value for CEL. Whole numbers are `int`, or `uint` from 2^63 on; other numbers are `double`.
pub(super) fn to_cel(value: &Value) -> Box<dyn Val> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(boolean) => Box::new(CelBool::from(*boolean)),
        Value::Number(number) => number_to_cel(number),
        Value::String(text) => Box::new(CelString::from(text.clone())),
        Value::Array(elements) => Box::new(CelList::from(elements.iter().map(to_cel).collect::<Vec<_>>())),
        Value::Object(map) => object_to_cel(map.iter().map(|(key, value)| (key.as_str(), to_cel(value)))),
    }
}

/// An object for CEL from its entries.
pub(super) fn object_to_cel<'a>(entries: impl IntoIterator<Item = (&'a str, Box<dyn Val>)>) -> Box<dyn Val> {
    let entries: HashMap<CelMapKey<'static>, Box<dyn Val>> = entries
        .into_iter()
        .map(|(key, value)| (CelMapKey::from(key.to_owned()), value))
        .collect();
    Box::new(CelMap::from(entries))
}

fn number_to_cel(number: &Number) -> Box<dyn Val> {
    if let Some(whole) = number.as_i64() {
        Box::new(CelInt::from(whole))
    } else if let Some(whole) = number.as_u64() {
        Box::new(CelUInt::from(whole))
    } else {
        Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN)))
    }
}

/// A CEL value as JSON.
///
/// # Errors
/// Why it has no JSON form.
pub(super) fn to_json(value: &dyn Val) -> Result<Value, String> {
    if let Some(boolean) = value.downcast_ref::<CelBool>() {
        return Ok(Value::from(*boolean.inner()));
    }
    if let Some(whole) = value.downcast_ref::<CelInt>() {
        return Ok(Value::from(*whole.inner()));
    }
    if let Some(whole) = value.downcast_ref::<CelUInt>() {
        return Ok(Value::from(*whole.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelDouble>() {
        let number = Number::from_f64(*number.inner());
        return number
            .map(Value::from)
            .ok_or_else(|| "the result is not a number that JSON has".to_owned());
    }
    if let Some(text) = value.downcast_ref::<CelString>() {
        return Ok(Value::from(text.inner()));
    }
    if value.downcast_ref::<CelNull>().is_some() {
        return Ok(Value::Null);
    }
    if let Some(list) = value.downcast_ref::<CelList>() {
        return list.inner().iter().map(|element| to_json(element.as_ref())).collect();
    }
    if let Some(map) = value.downcast_ref::<CelMap>() {
        let entries: BTreeMap<String, &dyn Val> = map
            .inner()
            .iter()
            .map(|(key, value)| (key_text(key), value.as_ref()))
            .collect();
        // Which of `{1: .., '1': ..}` would win is up to a hash map's random order.
        if entries.len() != map.inner().len() {
            return Err("two keys of a map are the same in JSON".to_owned());
        }
        return entries
            .into_iter()
            .map(|(key, value)| Ok((key, to_json(value)?)))
            .collect();
    }
    if value.downcast_ref::<CelOptional>().is_some() {
        return Err("the result is optional; end the expression with `.orValue(..)`".to_owned());
    }
    if value.downcast_ref::<CelBytes>().is_some() {
        return Err("bytes have no JSON form; use `string(..)`".to_owned());
    }
    Err(format!("a {} has no JSON form", value.get_type().name()))
}

fn key_text(key: &CelMapKey<'_>) -> String {
    match key {
        CelMapKey::Bool(key) => key.inner().to_string(),
        CelMapKey::Int(key) => key.inner().to_string(),
        CelMapKey::UInt(key) => key.inner().to_string(),
        CelMapKey::String(key) => key.inner().to_owned(),
    }
}
